"""The comparison: which loads are run, and what the table has of them."""

import resource

import pytest
from comparison import YARD, Columns, Comparison, compare, rows, run, table
from load import Bench, Latency, Plan, Result


class FakeBench(Bench):
    """Measures nothing: a delivery costs so many microseconds, and half of it with the yardstick."""

    def __init__(self, delivery_us: float) -> None:
        self.delivery_us = delivery_us
        self.loads: list[tuple[str, int, int]] = []

    def server(self, plan: Plan) -> Result:
        return self._result("server", plan, self.delivery_us)

    def yard(self, plan: Plan) -> Result:
        return self._result("yard", plan, 5)

    def _result(self, what: str, plan: Plan, delivery_us: float) -> Result:
        count = len(plan.browsers)
        self.loads.append((what, count, plan.rate))
        boards = [Latency(0.001, 0.002, 0.003, 0.004)] if plan.rate else []
        cpu = delivery_us * count * 1e-6
        opened = {"open_cpu": count * 300e-6, "open_kib": count * 6}
        return Result(1, 1, count, 286, 0.5, cpu, boards=boards, **opened)


def test_the_yardstick_stands_on_both_sides_of_each_size() -> None:
    ours, other = FakeBench(10), FakeBench(15)
    run({"tuleaprt": ours, "NATS": other}, 1, (1000, 5000))
    around = [("yard", 1000, 0), ("server", 1000, 0), ("yard", 1000, 0)]
    around += [("yard", 5000, 0), ("server", 5000, 0), ("yard", 5000, 0)]
    assert ours.loads == [*around, ("server", 1000, 20)]
    assert other.loads == [("server", 1000, 0), ("server", 5000, 0), ("server", 1000, 20)]


def test_each_server_has_a_row_with_ratios_to_the_yardstick() -> None:
    found = compare({"tuleaprt": FakeBench(10), "NATS": FakeBench(15)}, 1, 1)
    assert list(found.rows) == [YARD, "tuleaprt", "NATS"]
    assert found.rows["NATS"] == pytest.approx((3, 3, 3, 15, 300, 6, 4))
    assert found.rows[YARD][:4] == pytest.approx((1, 1, 1, 5))
    assert found.rows[YARD][4:] == (None, None, None)


def test_of_several_passes_the_medians_count() -> None:
    columns = Columns((1000,), 1000)
    passes = [run({"tuleaprt": FakeBench(us)}, 1, (1000,)) for us in (10, 40, 15)]
    assert rows(passes, columns, ["tuleaprt"])["tuleaprt"][:2] == pytest.approx((3, 15))


def test_a_size_that_does_not_fit_the_limit_of_files_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1200))
    found = compare({"tuleaprt": FakeBench(10)}, 1, 1)
    assert found.columns == Columns([1000], 1000)
    assert "With 1,000 of them" in found.columns.legend


def test_the_table_is_for_people() -> None:
    cells = {YARD: (1.0, 5.0, None, None, None), "tuleaprt": (2.0, 10.0, 300.0, 6.0, 4.0)}
    assert table(Comparison(Columns((1000,), 1000), cells, [])).splitlines() == [
        "             ratio 1,000  CPU µs  open µs  KiB  p99 ms",
        "send() in C            1       5",
        "tuleaprt               2      10      300    6       4",
    ]
