"""The steps of a swap on a machine that is only a table of units, and that they lead back."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.takeover.plan import (
    KEY_WATCH,
    NODE,
    SERVICE,
    SOCKET,
    UNITS,
    Action,
    Program,
    Remove,
    Run,
    Step,
    Unit,
    Write,
    give_back,
    give_back_program,
    take_over,
    take_over_program,
)

Plan = Callable[[dict[str, Unit]], list[Step]]

FRESH = {
    NODE: Unit(is_enabled=True, is_active=True),
    **{it: Unit() for it in UNITS},
}
"""As Tuleap's package and ours leave it."""

TAKEN = {
    NODE: Unit(is_masked=True),
    **{it: Unit(is_enabled=True, is_active=True) for it in UNITS},
}


class Systemd:
    """What systemctl does to a table of units."""

    def __init__(self, units: dict[str, Unit]) -> None:
        self.units = dict(units)

    def act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert isinstance(action, Run)
            systemctl, verb, *rest = action.command
            assert systemctl == "systemctl"
            for name in [it for it in rest if it != "--now"] or [NODE]:
                self._act(verb, name, is_now="--now" in rest)
                if name == SERVICE and verb in ("enable", "disable"):
                    # Also= of tuleaprt.service; it is without effect on what runs.
                    self._act(verb, SOCKET, is_now=False)
                    self._act(verb, KEY_WATCH, is_now=False)

    def _act(self, verb: str, name: str, *, is_now: bool) -> None:
        unit = self.units[name]
        if verb == "start":
            assert not unit.is_masked, "a masked unit cannot be started"
        changes = {
            "mask": {"is_masked": True},
            "unmask": {"is_masked": False},
            "enable": {"is_enabled": True},
            "disable": {"is_enabled": False},
            "start": {"is_active": True},
            "stop": {"is_active": False},
            "reset-failed": {"has_failed": False},
            "daemon-reload": {},
        }[verb]
        if is_now:
            changes["is_active"] = verb == "enable"
        self.units[name] = unit._replace(**changes)
        if verb == "daemon-reload":
            self.units = {it: value._replace(needs_reload=False) for it, value in self.units.items()}


def done(steps: list[Step]) -> list[str]:
    return [str(it.action) for it in steps]


def test_a_fresh_machine_is_taken_over_in_two_steps() -> None:
    steps = take_over(FRESH)
    assert done(steps) == [
        "systemctl mask --now tuleap-realtime.service",
        "systemctl enable --now tuleaprt.socket tuleaprt.service tuleaprt-key.path",
    ]
    machine = Systemd(FRESH)
    machine.act([it.action for it in steps])
    assert {name: it.is_active for name, it in machine.units.items()} == {
        NODE: False,
        SOCKET: True,
        SERVICE: True,
        KEY_WATCH: True,
    }


def test_a_machine_that_is_taken_over_needs_no_step() -> None:
    assert take_over(TAKEN) == []


def test_a_machine_that_is_given_back_needs_no_step() -> None:
    assert give_back(FRESH) == []


def test_the_way_back_stops_the_socket_with_the_service_and_starts_the_node_server() -> None:
    steps = give_back(TAKEN)
    assert done(steps) == [
        "systemctl disable --now tuleaprt-key.path tuleaprt.service tuleaprt.socket",
        "systemctl unmask tuleap-realtime.service",
        "systemctl start tuleap-realtime.service",
    ]
    machine = Systemd(TAKEN)
    machine.act([it.action for it in steps])
    assert machine.units[NODE] == Unit(is_active=True)
    assert all(machine.units[it] == Unit() for it in UNITS)


def test_a_machine_without_the_node_server_only_starts_tuleaprt() -> None:
    steps = take_over({**FRESH, NODE: Unit(is_known=False)})
    assert [it.split()[1] for it in done(steps)] == ["enable"]


def test_a_unit_that_has_failed_too_often_can_start_again() -> None:
    steps = take_over({**FRESH, SERVICE: Unit(has_failed=True)})
    assert done(steps)[0] == "systemctl reset-failed tuleaprt.service"
    steps = give_back({**TAKEN, NODE: Unit(is_masked=True, has_failed=True)})
    assert done(steps)[0] == "systemctl reset-failed tuleap-realtime.service"


def test_new_unit_files_are_read_first() -> None:
    steps = take_over({**FRESH, SERVICE: Unit(needs_reload=True)})
    assert done(steps)[0] == "systemctl daemon-reload"


# An enabled unit stays enabled under a mask, which systemctl then does not show.
units = st.builds(
    Unit,
    is_known=st.just(True),
    is_masked=st.booleans(),
    is_enabled=st.booleans(),
    is_active=st.booleans(),
    has_failed=st.just(False),
    needs_reload=st.just(False),
)
machines = st.fixed_dictionaries(
    {NODE: units, **{it: units.map(lambda it: it._replace(is_masked=False)) for it in UNITS}}
)


plans = st.sampled_from([take_over, give_back])


@given(plans, machines, st.integers(0, 9))
def test_what_was_begun_is_undone(plan: Plan, found: dict[str, Unit], count: int) -> None:
    # systemd does not run a masked unit that has been stopped, and the plan does not restart it.
    found[NODE] = found[NODE]._replace(is_active=found[NODE].is_active and not found[NODE].is_masked)
    steps = plan(found)[:count]
    machine = Systemd(found)
    for step in steps:
        machine.act([step.action])
    for step in reversed(steps):
        machine.act(step.undo)
    assert machine.units == found


@given(plans, machines)
def test_a_second_run_has_nothing_to_do(plan: Plan, found: dict[str, Unit]) -> None:
    machine = Systemd(found)
    machine.act([it.action for it in plan(found)])
    assert plan(machine.units) == []


UPDATE = Run(("supervisorctl", "update", "tuleap-realtime"))


def test_a_program_of_supervisord_is_taken_over_by_one_file() -> None:
    program = Program("/etc/supervisord.d/tuleaprt.ini", None, UPDATE)
    first, second = take_over_program(program, "new")
    assert first.action == Write(program.override, "new")
    assert first.undo == (Remove(program.override), UPDATE)
    assert second == Step(UPDATE)
    assert str(first.action) == "write /etc/supervisord.d/tuleaprt.ini"


def test_a_file_of_a_former_version_is_replaced_and_put_back() -> None:
    program = Program("/o.ini", "old", UPDATE)
    assert take_over_program(program, "new")[0].undo == (Write("/o.ini", "old"), UPDATE)


def test_supervisord_is_asked_again_when_the_files_are_as_wanted() -> None:
    assert take_over_program(Program("/o.ini", "new", UPDATE), "new") == [Step(UPDATE)]
    assert give_back_program(Program("/o.ini", None, UPDATE)) == [Step(UPDATE)]


def test_a_program_is_given_back_by_removing_the_file() -> None:
    first, second = give_back_program(Program("/o.ini", "new", UPDATE))
    assert (first.action, second.action) == (Remove("/o.ini"), UPDATE)
    assert first.undo == (Write("/o.ini", "new"), UPDATE)
    assert str(first.action) == "remove /o.ini"
