"""What is in the way of a swap, and what the administrator is told to do."""

import pytest

from tuleaprt.configuration.loading import load
from tuleaprt.takeover.checks import Facts, Holder, Level, checks, is_possible
from tuleaprt.takeover.nginx import Site

KEY = "k" * 88
SITE = Site("tuleap.example.com", "127.0.0.1", 443, True, "http://127.0.0.1:2999")
GOOD = Facts(
    is_root=True,
    manager_problem="",
    port=2999,
    config=load(None, {"PRIVATE_KEY": KEY}),
    config_problems=(),
    key_text=f"PRIVATE_KEY={KEY}".encode(),
    server="/opt/tuleaprt/bin/twistd",
    server_problem="",
    private=None,
    public=None,
    nginx_problem="",
    site=SITE,
)


def config(**environment: str) -> Facts:
    return GOOD._replace(config=load(None, {"PRIVATE_KEY": KEY, **environment}))


def test_a_good_machine_is_described_in_five_lines() -> None:
    findings = checks(GOOD)
    assert is_possible(findings)
    assert [it.about for it in findings] == ["nginx", "key", "configuration", "Python", "ports"]


@pytest.mark.parametrize(
    ("facts", "about", "text"),
    [
        (GOOD._replace(is_root=False), "user", "only root"),
        (GOOD._replace(manager_problem="no unit"), "services", "no unit"),
        (GOOD._replace(key_text=None), "key", "cannot be read"),
        (GOOD._replace(key_text=f"PRIVATE_KEY={KEY}\n".encode()), "key", "ends with a newline"),
        (GOOD._replace(config=None, config_problems=("no such option",)), "configuration", "no such option"),
        (config(TULEAPRT_REALTIME__POST_SECRET="s"), "configuration", "Tuleap sends none"),
        (config(TULEAPRT_SOCKETIO__PATH="/io/"), "configuration", "must be /local-socket.io/"),
        (config(TULEAPRT_REALTIME__ALGORITHMS='["HS256"]'), "configuration", "must have HS512"),
        (GOOD._replace(server_problem="it does not run"), "Python", "it does not run"),
        (GOOD._replace(private=Holder(812, "node")), "port", "process 812 (node) listens on 2999"),
        (GOOD._replace(public=(2998, Holder(9, "java"))), "port", "process 9 (java) listens on 2998"),
        (GOOD._replace(nginx_problem="nginx -T: failed"), "nginx", "nginx -T: failed"),
        (GOOD._replace(site=None), "nginx", "site-deploy:nginx"),
        (GOOD._replace(site=SITE._replace(target="http://127.0.0.1:3000")), "nginx", "not to port 2999"),
        (GOOD._replace(site=SITE._replace(target="http://127.0.0.1:29990")), "nginx", "not to port 2999"),
    ],
)
def test_a_problem_says_what_is_wrong(facts: Facts, about: str, text: str) -> None:
    findings = checks(facts)
    assert not is_possible(findings)
    (problem,) = [it for it in findings if it.level is Level.PROBLEM]
    assert problem.about == about
    assert text in problem.text


def test_the_way_back_needs_only_nginx() -> None:
    broken = GOOD._replace(config=None, config_problems=("wrong",), key_text=None, server_problem="gone")
    assert is_possible(checks(broken, is_back=True))
    assert not is_possible(checks(broken._replace(site=None), is_back=True))
    assert checks(broken._replace(site=None), is_back=True, is_proved=False) == []


def test_the_key_is_not_shown() -> None:
    assert KEY not in str(checks(GOOD))
