"""The npm package: what npm packs, and the page of docs/client.rst, built with Vite, in Chromium."""

import json
import re
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.browser.browser import Browser, Window
from tests.campaigns import ALICE, BOB, update
from tests.end_to_end.processes import ROOT
from tests.end_to_end.server import Server
from tests.fakes import MEMBER, body, ticket

ensure = pytest_twisted.ensureDeferred
MODULES = ROOT / "node_modules"
URL = "`wss://${location.host}/tuleaprt/ws`"
PAGE = """\
<!doctype html>
<title>A page</title>
<p id="state"></p><p id="board"></p><p id="news"></p><p id="best"></p>
<script type="module" src="/page.ts"></script>
"""
OF_TYPES = """\
import { connect, type Campaign, type RoomEvent } from "tuleaprt-client";

const connection = connect({ url: "wss://host/ws", getTicket: () => null, pingInterval: 20 });
const campaign: Campaign = connection.campaign(9);
campaign.on("presence", (id, viewers) => viewers.map(({ uuid }) => id.concat(uuid)));
connection.on("event", ({ cmd, missed }: RoomEvent) => (missed ? cmd.length : 0));
// @ts-expect-error: a connection needs its URL
connect({ getTicket: () => null });
// @ts-expect-error: there is no such event
connection.on("closed", () => {});
// @ts-expect-error: a board has no podium
connection.board(3).podium;
"""


def page_of_the_guide() -> str:
    text = (ROOT / "docs" / "client.rst").read_text()
    block = re.search(r"\.\. code-block:: typescript\n\n((?:    .*\n|\n)+)", text)
    assert block is not None
    return re.sub(r"^    ", "", block[1], flags=re.MULTILINE)


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that npm packs."""
    folder = tmp_path_factory.mktemp("packed")
    (made,) = json.loads(run("npm", "pack", ROOT / "client", "--json", folder=folder))
    return folder / str(made["filename"])


@pytest.fixture(scope="module")
def project(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the package and autobahn-js are installed, as npm lays them out."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "node_modules").mkdir()
    with tarfile.open(packed) as opened:
        opened.extractall(folder, filter="data")
    (folder / "package").rename(folder / "node_modules" / "tuleaprt-client")
    for name in ("autobahn", "when"):
        (folder / "node_modules" / name).symlink_to(MODULES / name)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def test_the_package_holds_the_module_its_types_and_its_source_map(packed: Path) -> None:
    with tarfile.open(packed) as opened:
        names = {it.name.removeprefix("package/") for it in opened.getmembers()}
        description = json.loads(_content(opened, "package/package.json"))
        sources = json.loads(_content(opened, "package/dist/tuleaprt-client.js.map"))
    module = {f"dist/tuleaprt-client.{it}" for it in ("js", "js.map", "d.ts")}
    assert names == {"package.json", "README.md", "LICENSE", "index.js"} | module
    assert "dependencies" not in description
    assert list(description["peerDependencies"]) == ["autobahn"]
    client = ROOT / "tuleaprt" / "web" / "static" / "client"
    assert {Path(it).name for it in sources["sources"]} == {it.name for it in client.glob("*.js")}
    assert all(sources["sourcesContent"])
    assert f"version = {description['version']}\n" in (ROOT / "setup.cfg").read_text()


def _content(opened: tarfile.TarFile, name: str) -> bytes:
    file = opened.extractfile(name)
    assert file is not None
    return file.read()


def test_node_finds_what_the_package_exports_and_nothing_else(project: Path) -> None:
    script = """
        const { connect } = await import("tuleaprt-client");
        const bare = await import("tuleaprt-client/tuleaprt-client.js");
        const hidden = await import("tuleaprt-client/dist/tuleaprt-client.js").catch(({ code }) => code);
        console.log(typeof connect, typeof bare.connect, connect === bare.connect, hidden);
    """
    written = run("node", "--input-type=module", "--eval", script, folder=project)
    assert written.split() == ["function", "function", "false", "ERR_PACKAGE_PATH_NOT_EXPORTED"]


def test_typescript_takes_the_types_and_finds_mistakes(project: Path) -> None:
    (project / "types.ts").write_text(OF_TYPES)
    (project / "guide.ts").write_text(page_of_the_guide())
    options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom"]
    for module, resolution in (("esnext", "bundler"), ("node16", "node16")):
        chosen = ["--module", module, "--moduleResolution", resolution]
        run("node", MODULES / "typescript/bin/tsc", *options, *chosen, "types.ts", "guide.ts", folder=project)


class Files(Resource):
    """A site with files, and with Tuleap's REST interface as far as the page reads it."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = Path("/")

    def render_GET(self, request: Request) -> bytes:
        path = request.path.decode()
        answers = {"/api/v1/jwt": {"token": ticket(BOB, MEMBER)}, "/api/v1/kanban/3": {"label": "the board"}}
        if path in answers:
            return json.dumps(answers[path]).encode()
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        request.setHeader("Content-Type", kind)
        return (self.folder / (path.lstrip("/") or "index.html")).read_bytes()


@pytest_twisted.async_yield_fixture
async def site() -> AsyncIterator[tuple[Files, str]]:
    """The site, and its origin."""
    files = Files()
    port: Any = reactor.listenTCP(0, Site(files), interface="127.0.0.1")  # type: ignore[attr-defined]
    yield files, f"http://127.0.0.1:{port.getHost().port}"
    await port.stopListening()


@ensure
async def test_the_page_of_the_guide_is_live_in_chromium(
    project: Path, site: tuple[Files, str], browser: Browser
) -> None:
    files, origin = site
    server = await Server.start(TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS=json.dumps([origin]))
    guide = page_of_the_guide()
    assert URL in guide
    (project / "index.html").write_text(PAGE)
    (project / "page.ts").write_text(guide.replace(URL, f'"ws://127.0.0.1:{server.public}/ws"'))
    run("node", MODULES / "vite/bin/vite.js", "build", "--logLevel", "warn", folder=project)
    files.folder = project / "dist"

    window = Window(browser)
    await window.do("open", url=origin)
    await window.see('#state:text-is("live")')
    await window.see('#board:text-is(\'{"label":"the board"}\')')
    assert (await server.post(body(data=321))).status == 200
    await window.see("#news:has-text('kanban_item:create 321')")
    assert (await server.post(update(ALICE, 39, "passed"))).status == 200
    await window.see('#best:text-is("alice")')
    ports = {"TULEAPRT_LISTEN__PUBLIC": f'["tcp:{server.public}:interface=127.0.0.1"]'}
    await server.process.stop()
    await window.see("#state:has-text('reconnecting in')")
    server = await Server.start(TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS=json.dumps([origin]), **ports)
    await window.see('#state:text-is("live")')
    await window.see('#best:text-is("nobody")')
    assert await window.complaints() == []
    await window.do("close")
    await server.process.stop()
