"""Where Tuleap's pages enter, in what ``nginx -T`` prints."""

import pytest

from tuleaprt.takeover.nginx import Site, site

MAIN = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: configuration file /etc/nginx/nginx.conf test is successful
# configuration file /etc/nginx/nginx.conf:
user nginx;
events { worker_connections 1024; }
http {
    log_format main '$remote_addr "$request" {not; a block}'; # }
    include /etc/nginx/mime.types;
    include conf.d/*.conf;
}

# configuration file /etc/nginx/mime.types:
types { text/html html; }

# configuration file /etc/nginx/conf.d/tuleap.conf:
server {
    listen 80;
    server_name tuleap.example.com;
    return 301 https://$server_name$request_uri;
}
server {
    LISTEN
    server_name tuleap.example.com;
    set $name "${host}x";
    include conf.d/tuleap.d/*.conf;
}

# configuration file /etc/nginx/conf.d/tuleap.d/13-realtime.conf:
location /local-socket.io {
    proxy_pass http://127.0.0.1:2999;
    proxy_set_header Host $host;
}
"""
TULEAP = Site("tuleap.example.com", "127.0.0.1", 443, True, "http://127.0.0.1:2999")


def dump(listen: str = "listen 443 ssl http2;") -> str:
    return MAIN.replace("LISTEN", listen)


def test_tuleaps_site_is_found_through_its_includes() -> None:
    assert site(dump()) == TULEAP
    assert TULEAP.url == "https://tuleap.example.com"


@pytest.mark.parametrize(
    ("listen", "address", "port", "is_tls"),
    [
        ("listen [::]:443 ssl;", "::1", 443, True),
        ("listen *:8443 ssl;", "127.0.0.1", 8443, True),
        ("listen 192.0.2.7:443 ssl;", "192.0.2.7", 443, True),
        ("listen 192.0.2.7;", "192.0.2.7", 80, False),
        ("listen localhost:8080;", "localhost", 8080, False),
        ("listen 80; listen 443 ssl;", "127.0.0.1", 443, True),
        ("listen unix:/run/nginx.sock; listen 443 ssl;", "127.0.0.1", 443, True),
        ("listen :;", "127.0.0.1", 80, False),
        ("", "127.0.0.1", 80, False),
    ],
)
def test_it_is_reached_where_nginx_listens(listen: str, address: str, port: int, is_tls: bool) -> None:
    found = site(dump(listen))
    assert found is not None
    assert found[1:4] == (address, port, is_tls)


def test_a_port_that_is_not_the_usual_one_is_in_the_url() -> None:
    assert TULEAP._replace(port=8443).url == "https://tuleap.example.com:8443"
    assert TULEAP._replace(port=80, is_tls=False).url == "http://tuleap.example.com"


@pytest.mark.parametrize("name", ["_", "~^tuleap", "*", '""'])
def test_a_site_without_a_name_is_asked_as_localhost(name: str) -> None:
    found = site(dump().replace("server_name tuleap.example.com", f"server_name {name}"))
    assert found is not None
    assert found.name == "localhost"


def test_a_site_with_tls_goes_before_another() -> None:
    other = "server { listen 8080; location /local-socket.io/ { proxy_pass http://127.0.0.1:2999; } }\n"
    text = dump().replace("server {\n    listen 80;", f"{other}server {{\n    listen 80;", 1)
    assert site(text) == TULEAP


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nginx: [emerg] unknown directive\n",
        dump().replace("/local-socket.io", "/another"),
        dump().replace("proxy_pass http://127.0.0.1:2999;", ""),
        "# configuration file /etc/nginx/nginx.conf:\n}} server {",
        "# configuration file /a:\nhttp { include /a; }",
    ],
)
def test_there_may_be_none(text: str) -> None:
    assert site(text) is None
