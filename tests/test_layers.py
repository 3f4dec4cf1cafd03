"""The packages: what each may import, and what the pure ones must not contain."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tuleaprt"
MODULES = sorted(PACKAGE.rglob("*.py"))

ALLOWED = {
    "errors": (),
    "__main__": ("tuleaprt.cli.main",),
    "wamp": ("tuleaprt.errors", "tuleaprt.wamp", "autobahn.wamp", "msgspec"),
    "tuleap": (
        "tuleaprt.errors",
        "tuleaprt.tuleap",
        "tuleaprt.wamp.auth",
        "tuleaprt.wamp.identifiers",
        "tuleaprt.wamp.publication",
        "jwt",
        "msgspec",
    ),
    "socketio": (
        "tuleaprt.errors",
        "tuleaprt.socketio",
        "tuleaprt.tuleap",
        "tuleaprt.wamp",
        "msgspec",
    ),
    "journal": ("tuleaprt.errors", "tuleaprt.journal", "msgspec", "twisted", "txredisapi"),
    "operations": (
        "tuleaprt.operations",
        "tuleaprt.wamp.auth",
        "prometheus_client",
        "twisted",
        "zope.interface",
    ),
    "relay": (
        "tuleaprt.errors",
        "tuleaprt.journal",
        "tuleaprt.operations",
        "tuleaprt.relay",
        "tuleaprt.tuleap",
        "tuleaprt.wamp",
        "msgspec",
    ),
    "transport": (
        "tuleaprt.configuration.options",
        "tuleaprt.errors",
        "tuleaprt.operations",
        "tuleaprt.socketio",
        "tuleaprt.transport",
        "tuleaprt.wamp",
        "OpenSSL",
        "autobahn",
        "cbor2",
        "msgspec",
        "twisted",
    ),
    "web": (
        "tuleaprt.errors",
        "tuleaprt.operations",
        "tuleaprt.transport.entrance",
        "tuleaprt.transport.outbound",
        "tuleaprt.transport.polling",
        "tuleaprt.transport.request_headers",
        "tuleaprt.tuleap",
        "tuleaprt.wamp.auth",
        "tuleaprt.web",
        "msgspec",
        "twisted",
    ),
    # The values of options are checked by the code that uses them.
    "configuration": (
        "tuleaprt.configuration",
        "tuleaprt.errors",
        "tuleaprt.transport.listening",
        "tuleaprt.transport.request_headers",
        "tuleaprt.tuleap.ticket",
        "msgspec",
        "twisted",
    ),
    "cli": (
        "tuleaprt.cli",
        "tuleaprt.configuration",
        "tuleaprt.errors",
        # check-delivery is one of Tuleap's pages.
        "tuleaprt.socketio.packets",
        "tuleaprt.takeover",
        "tuleaprt.transport.sending",
        "tuleaprt.tuleap",
        # check-config tries whether the server would start.
        "tuleaprt.application.durability",
        "tuleaprt.application.service",
        "OpenSSL",
        "autobahn",
        "jwt",
        "msgspec",
        "shtab",
        "twisted",
        "zope.interface",
    ),
    "takeover": ("tuleaprt.configuration", "tuleaprt.errors", "tuleaprt.takeover"),
}
"""What each package may import beside the standard library; ``application`` may import everything."""

PURE = ("wamp", "tuleap", "socketio")
PURE_LIBRARY = (
    "base64",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "typing",
    "warnings",
)
"""What the pure rooms need of the standard library: nothing that has a clock, chance, a log or the world."""

ONLY_TYPES = (
    Path("errors.py"),
    Path("wamp/outlet.py"),
    Path("wamp/router.py"),
)


LONGEST_MODULE = 350


def dotted(module: Path) -> str:
    """``tuleaprt.wamp.realm``; a package by its ``__init__``."""
    return ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_keep_to_the_layers(module: Path) -> None:
    if room(module) == "application":
        return
    library = PURE_LIBRARY if room(module) in PURE else tuple(sys.stdlib_module_names)
    allowed = (*ALLOWED.get(room(module), ()), *library)
    assert [name for name in imports(module) if not any(is_within(name, it) for it in allowed)] == []


@pytest.mark.parametrize("name", PURE)
def test_pure_rooms_hold_nothing_asynchronous(name: str) -> None:
    for module in (PACKAGE / name).glob("*.py"):
        nodes = ast.walk(ast.parse(module.read_text()))
        assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)], module


@pytest.mark.parametrize("name", PURE)
def test_pure_rooms_do_not_ask_what_time_it_is(name: str) -> None:
    for module in (PACKAGE / name).glob("*.py"):
        nodes = ast.walk(ast.parse(module.read_text()))
        asked = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
        assert not {"now", "utcnow", "today"} & set(asked), module


def test_the_reactor_is_imported_once() -> None:
    found = [
        module.relative_to(PACKAGE)
        for module in MODULES
        for name in imports(module)
        if name == "twisted.internet.reactor"
    ]
    assert found == [Path("application/service.py")]


def test_there_is_no_circle_of_imports() -> None:
    known = {dotted(module): module for module in MODULES}
    graph = {
        name: {target for it in imports(module) for target in known if is_within(it, target)} - {name}
        for name, module in known.items()
        if module.name != "__init__.py"
    }
    # A circle is left when the modules that import no other are taken away, again and again.
    while free := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in free}
    assert not graph


def test_no_import_is_for_types_alone() -> None:
    assert [module for module in MODULES if "TYPE_CHECKING" in module.read_text()] == []


def test_the_top_of_the_package_holds_what_all_share() -> None:
    assert {it.name for it in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= LONGEST_MODULE


def test_the_plugin_folders_are_no_packages() -> None:
    assert not list((ROOT / "twisted").rglob("__init__.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_its_tests(module: Path) -> None:
    if module.name != "__init__.py" and module.relative_to(PACKAGE) not in ONLY_TYPES:
        inside = module.relative_to(PACKAGE)
        assert list((ROOT / "tests" / inside.parent).glob(f"test_{module.stem}*.py"))
