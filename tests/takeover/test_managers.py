"""What systemd says of a unit, and the folders of supervisord in which tuleaprt's file counts."""

from pathlib import Path

import pytest

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover.managers import Supervisor, unit
from tuleaprt.takeover.plan import Remove, Unit, Write

PROGRAM = "[program:tuleap-realtime]\ncommand=/bin/node ; the server\n"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("LoadState=not-found ActiveState=inactive", Unit(is_known=False)),
        (
            "LoadState=loaded ActiveState=active UnitFileState=enabled",
            Unit(is_enabled=True, is_active=True),
        ),
        ("LoadState=loaded ActiveState=activating UnitFileState=disabled", Unit(is_active=True)),
        (
            "LoadState=loaded ActiveState=failed NeedDaemonReload=yes",
            Unit(has_failed=True, needs_reload=True),
        ),
        ("LoadState=masked ActiveState=inactive UnitFileState=masked", Unit(is_masked=True)),
        # A unit that runs is loaded until it stops, even if it is masked meanwhile.
        (
            "LoadState=loaded ActiveState=active UnitFileState=masked-runtime",
            Unit(is_masked=True, is_active=True),
        ),
    ],
)
def test_systemds_properties_are_understood(properties: str, expected: Unit) -> None:
    assert unit(dict(it.split("=") for it in properties.split())) == expected


def supervisor(folder: Path, include: str, **files: str) -> Supervisor:
    (folder / "d").mkdir()
    for name, text in files.items():
        (folder / "d" / f"{name}.ini").write_text(text)
    (folder / "supervisord.conf").write_text(f"[supervisord]\n{include}")
    return Supervisor(folder / "supervisord.conf", "new")


def test_the_override_is_written_beside_tuleaps_file(tmp_path: Path) -> None:
    found = supervisor(tmp_path, "[include]\nfiles = d/*.ini\n", realtime=PROGRAM)
    write, update = found.steps(is_back=False)
    assert write.action == Write(str(tmp_path / "d" / "tuleaprt.ini"), "new")
    assert str(update.action) == f"supervisorctl -c {tmp_path}/supervisord.conf update tuleap-realtime"
    (tmp_path / "d" / "tuleaprt.ini").write_text("new")
    assert isinstance(found.steps(is_back=True)[0].action, Remove)


def test_the_program_may_be_in_the_main_file(tmp_path: Path) -> None:
    found = supervisor(tmp_path, f"{PROGRAM}[include]\nfiles = d/*.ini\n")
    assert len(found.steps(is_back=False)) == 2


@pytest.mark.parametrize(
    ("include", "name", "text"),
    [
        ("", "realtime", PROGRAM),
        ("[include]\nfiles = d/*.conf\n", "realtime", PROGRAM),
        ("[include]\nfiles = d/realtime.ini\n", "realtime", PROGRAM),
        ("[include]\nfiles = d/*.ini\n", "nginx", "[program:nginx]\n"),
        # Its options would replace those of the override.
        ("[include]\nfiles = d/*.ini\n", "zz", PROGRAM),
        ("[include]\nfiles = d/*.ini\n", "realtime", "no section"),
    ],
)
def test_an_override_that_would_not_count_is_not_written(
    tmp_path: Path, include: str, name: str, text: str
) -> None:
    found = supervisor(tmp_path, include, **{name: text})
    assert "includes no folder for tuleaprt.ini" in found.problem(is_back=False)
    with pytest.raises(CommandFailed, match="includes no folder"):
        found.steps(is_back=False)
