"""How cost grows: which points are measured, and what is printed of them."""

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from figures import Figure
from growth import Point, Series, grow, sustainable
from load import Bench, Latency, Plan, Result
from router import ROOT
from rst import growth_table, row, section


class FakeBench(Bench):
    """Measures nothing: records its calls, and returns the same result for all."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def server(self, plan: Plan) -> Result:
        self.plans.append(plan)
        boards: Sequence[Latency] = [Latency(0.001, 0.002, 0.003, 0.004)] if plan.rate else ()
        return Result(1, 100, 100_000, 286, 0.5, 1, boards=boards, others=0.1)

    def yard(self, plan: Plan) -> Result:
        return self.server(plan)


@pytest.mark.parametrize(
    ("count", "delivery_us", "pace"),
    [(10, 10, 20), (1000, 10, 20), (5000, 10, 10), (10_000, 12, 4), (10_000, 999, 1)],
)
def test_a_pace_leaves_the_server_time_to_spare(count: int, delivery_us: float, pace: int) -> None:
    assert sustainable(count, delivery_us) == pace


def test_each_series_grows_in_one_thing() -> None:
    bench = FakeBench()
    found = {it.name: it for it in grow(bench, 0.5, is_peer=False)}
    assert [it.at for it in found["boards"].points] == [1, 10, 100, 1000]
    assert [it.at for it in found["bytes"].points] == [290, 2048, 16_384, 131_072]
    assert [it.at for it in found["groups"].points] == [1, 10, 100, 1000]
    assert found["subscribers"].points[0] == Point(10, 10, 10, 20, 2, 4, 0.1)
    sets = [len({it.groups for it in plan.browsers}) for plan in bench.plans[-4:]]
    assert sets == [1, 10, 100, 1000]


def test_a_peer_has_no_sets_of_groups() -> None:
    names = [it.name for it in grow(FakeBench(), 0.5, is_peer=True)]
    assert names == ["subscribers", "boards", "bytes"]


def test_the_tables_of_the_documentation_are_printed_from_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/rst.py", tmp_path / "result.json"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1
    document = {
        "passes": [{}],
        "machine": {},
        "peer": "",
        "seconds": 4,
        "notes": [],
        "figures": [],
        "growth": [],
    }
    (tmp_path / "result.json").write_text(json.dumps(document | {"comparison": {}}))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Figures\n-------\n\nOne pass, 4 s for each load")


def test_what_does_not_fit_the_limit_of_files_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1200))
    series = next(grow(FakeBench(), 0.5, is_peer=False))
    assert [it.at for it in series.points] == [10, 100, 1000]


def test_a_line_of_the_table_has_mark_and_goal() -> None:
    assert row(Figure("x", "  ratio", 1.5, "", at_most=1.25)) == ("… ratio", "1.50", "✗ ≤ 1.25", "")
    assert row(Figure("x", "CPU", 100, "µs", at_most=120)) == ("CPU", "100 µs", "✓ ≤ 120 µs", "")
    assert row(Figure("x", "posts", 2000, "1/s", 4000)) == ("posts", "2,000 1/s", "", "4,000 1/s")


def test_the_points_of_a_series_are_a_table() -> None:
    series = Series("subscribers", "Subscribers", "CPU", [Point(1000, 10, 8, 20, 12.5, 20)])
    assert growth_table(series).splitlines()[4:] == [
        *("   * - Subscribers", "     - CPU", "     - in C", "     - ratio"),
        *("     - posts/s", "     - p99 to each", "     - p99 to the last"),
        *("   * - 1,000", "     - 10 µs", "     - 8 µs", "     - 1.25"),
        *("     - 20", "     - 12.50 ms", "     - 20 ms"),
    ]


def test_the_section_is_read_from_the_json() -> None:
    figure = Figure("x", "posts", 2000, "1/s", 4000)
    series = Series("groups", "Sets of groups", "CPU", [Point(1, 10)])
    document = {
        "passes": [{}, {}, {}],
        "machine": {"CPU": "fast", "cores": "2"},
        "peer": "",
        "seconds": 4,
        "notes": ["Others took some."],
        "figures": [figure._asdict()],
        "growth": [series._asdict() | {"points": [it._asdict() for it in series.points]}],
        "comparison": {
            "columns": ["ratio 1,000", "open µs"],
            "rows": {"send() in C": [1.0, None], "tuleaprt": [1.155, 270.4]},
            "legend": "Ratio and handshake.",
            "notes": [],
        },
    }
    text = "\n\n".join(section(document))
    assert "Medians of 3 passes, 4 s for each load, events of 290 bytes. CPU fast, cores 2." in text
    assert "\n\n* Others took some.\n\n.. list-table::\n" in text
    assert "   * - posts\n     - 2,000 1/s\n     -\n     - 4,000 1/s\n" in text
    assert "Beside other servers\n--------------------\n\nRatio and handshake.\n\n" in text
    assert "   * - send() in C\n     - 1\n     -\n   * - tuleaprt\n     - 1.16\n     - 270\n" in text
    assert "How it grows\n------------" in text
    assert text.endswith("   * - 1\n     - 10 µs")
