"""The layers: who may import whom, and what the pure rooms may not hold."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tuleaprt"
MODULES = sorted(PACKAGE.rglob("*.py"))

FORBIDDEN = {
    "wamp": (
        "tuleaprt.tuleap",
        "tuleaprt.transport",
        "tuleaprt.web",
        "tuleaprt.journal",
        "tuleaprt.relay",
        "tuleaprt.metrics",
        "tuleaprt.faults",
        "twisted",
        "autobahn.twisted",
        "autobahn.websocket",
    ),
    "tuleap": (
        "twisted",
        "autobahn",
        "tuleaprt.wamp.session",
        "tuleaprt.wamp.realm",
        "tuleaprt.transport",
        "tuleaprt.web",
        "tuleaprt.journal",
        "tuleaprt.relay",
        "tuleaprt.metrics",
        "tuleaprt.faults",
    ),
    "transport": ("tuleaprt.tuleap", "tuleaprt.web", "tuleaprt.relay", "tuleaprt.journal"),
    "web": ("autobahn", "tuleaprt.wamp.session", "tuleaprt.transport"),
    "journal": ("tuleaprt.wamp", "tuleaprt.tuleap"),
    "relay": ("tuleaprt.transport", "tuleaprt.web", "autobahn"),
}
ONLY_TYPES = (Path("errors.py"), Path("wamp/auth.py"))
IMPURE = ("asyncio", "datetime", "logging", "random", "secrets", "time", "txaio", "uuid")


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
    forbidden = (*FORBIDDEN.get(room(module), ()), "tuleaprt.service")
    assert [name for name in imports(module) if any(is_within(name, it) for it in forbidden)] == []


@pytest.mark.parametrize("name", ["wamp", "tuleap"])
def test_pure_rooms_hold_no_clock_no_chance_no_log_and_nothing_asynchronous(name: str) -> None:
    for module in (PACKAGE / name).glob("*.py"):
        assert [it for it in imports(module) if any(is_within(it, impure) for impure in IMPURE)] == []
        nodes = ast.walk(ast.parse(module.read_text()))
        assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)], module


def test_the_reactor_is_imported_once() -> None:
    found = [
        module.relative_to(PACKAGE)
        for module in MODULES
        for name in imports(module)
        if name == "twisted.internet.reactor"
    ]
    assert found == [Path("service.py")]


def test_the_plugin_folders_are_no_packages() -> None:
    assert not list((ROOT / "twisted").rglob("__init__.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_its_tests(module: Path) -> None:
    if module.name != "__init__.py" and module.relative_to(PACKAGE) not in ONLY_TYPES:
        inside = module.relative_to(PACKAGE)
        assert (ROOT / "tests" / inside.parent / f"test_{module.name}").exists()
