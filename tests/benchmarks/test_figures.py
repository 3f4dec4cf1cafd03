"""The table: ratios, goals and their marks, medians."""

from typing import Any

import pytest
from figures import PACES, Figure, figures, medians, number, table, without_goals
from load import Latency, Result
from plans import ORDER, OURS


def result(**changed: Any) -> Result:
    values = {"seconds": 4, "posts": 400, "deliveries": 400_000, "event_bytes": 286, "busy": 0.5, "cpu": 4}
    return Result(**(values | changed))


def results(cpu: float = 4) -> dict[str, list[Result]]:
    """Of one pass where the yardstick needs half of what is measured, and all steps are alike."""
    found = {step: [result(cpu=cpu / 2 if step.startswith("yard ") else cpu)] for step in ORDER}
    for paced in PACES:
        found[paced] = [result(cpu=cpu, boards=[Latency(0.01, 0.03, 0.015, 0.04)])]
    found["pages 5000"] = [result(cpu=cpu * 1.1, open_cpu=3), result(cpu=cpu * 1.3, open_cpu=7)]
    found["5000"] = [result(cpu=cpu, open_cpu=2, close_cpu=1, open_kib=40_000)]
    found["pace"] = [result(cpu=cpu, boards=[Latency(0.01, 0.02, 0.015, 0.021), Latency(0.001, 0.002, 0, 0)])]
    return found


def by_name(found: list[Figure]) -> dict[str, Figure]:
    return {it.name: it for it in found}


@pytest.mark.parametrize(
    ("value", "at_most", "at_least", "goal", "mark"),
    [
        (120, 120, None, "≤ 120", "✓"),
        (120.1, 120, None, "≤ 120", "✗"),
        (3067, None, 3067, "≥ 3,067", "✓"),
        (3066, None, 3067, "≥ 3,067", "✗"),
        (3066, None, None, "", ""),
    ],
)
def test_a_figure_is_marked_by_its_goal(
    value: float, at_most: float | None, at_least: float | None, goal: str, mark: str
) -> None:
    figure = Figure("x", "x", value, "µs", at_most=at_most, at_least=at_least)
    assert (figure.goal, figure.mark) == (goal, mark)


def test_the_table_has_ratios_to_what_was_measured_beside() -> None:
    found = by_name(list(figures(results())))
    assert found["cpu_1000"].value == pytest.approx(10)
    assert found["cpu_1000"].yard == pytest.approx(5)
    assert found["ratio_1000"].value == pytest.approx(2)
    assert found["ratio_tls"].value == found["ratio_groups"].value == pytest.approx(1)
    assert (found["ratio_tls"].goal, found["ratio_groups"].goal) == ("≤ 3", "≤ 1.10")
    assert found["ratio_10000"].value == pytest.approx(2)
    assert found["cpu_open"].value == pytest.approx(400)
    assert found["memory"].value == pytest.approx(8)
    assert found["last_p99"].value == pytest.approx(21)
    assert found["last_p99"].mark == "✗"
    assert found["ratio_posts"].value == pytest.approx(0.5)
    # 10,000 µs for a post and 400 for a handshake, where a delivery in C takes 5.
    assert found["ratio_post"].value == pytest.approx(2000)
    assert found["ratio_open"].value == pytest.approx(80)
    assert (found["ratio_post"].mark, found["ratio_open"].mark) == ("✗", "✓")


def test_the_journal_in_a_file_is_compared_with_memory_in_the_same_pass() -> None:
    found = results()
    found["nobody journal"] = [result(cpu=5, posts=200)]
    figure = by_name(list(figures(found)))
    # 5 s for 200 posts, where 400 take 4 s.
    assert figure["cpu_post_journal"].value == pytest.approx(15_000)
    assert figure["cpu_post_journal"].goal == "≤ 60"
    assert figure["answer_memory"].value == pytest.approx(80)
    assert figure["answer_sqlite"].value == pytest.approx(160)


def test_pages_are_compared_with_wamp_in_the_same_pass() -> None:
    found = by_name(list(figures(results())))
    assert found["ratio_pages_1000"].value == pytest.approx(1)
    assert found["ratio_pages_5000"].value == pytest.approx(1.2)
    assert (found["ratio_pages_1000"].mark, found["ratio_pages_5000"].mark) == ("✓", "✗")
    assert found["pages_1000_p99"].value == found["pollers_p99"].value == pytest.approx(30)
    assert found["cpu_pollers"].value == pytest.approx(10)
    # 5 s for 5,000 pages, where WAMP takes 2 s.
    assert found["open_pages"].value == pytest.approx(1000)
    assert found["ratio_open_pages"].value == pytest.approx(2.5)
    assert found["ratio_open_pages"].goal == "≤ 2"


def test_a_load_that_was_left_out_has_no_line() -> None:
    found = {step: them for step, them in results().items() if step not in OURS}
    names = by_name(list(figures(found)))
    assert "ratio_serializers" in names
    left_out = {"cpu_tls", "ratio_tls", "open_tls", "cpu_groups", "ratio_groups", "cpu_pollers", "open_pages"}
    assert not left_out & names.keys()


def test_of_three_passes_the_medians_count_line_by_line() -> None:
    found = by_name(medians([results(4), results(40), results(5)]))
    assert found["cpu_1000"].value == pytest.approx(12.5)
    assert found["cpu_1000"].yard == pytest.approx(6.25)
    assert found["ratio_1000"].value == pytest.approx(2)


def test_the_table_is_for_people() -> None:
    lines = table(medians([results()])).splitlines()
    assert "  ratio to send() in C" in lines[2]
    assert lines[2].split()[-4:] == ["2", "≤", "1.10", "✗"]
    assert len({line.rindex("µs") for line in lines if "µs" in line}) == 1


def test_a_peer_is_not_held_to_our_goals() -> None:
    assert {it.mark for it in without_goals(medians([results()]))} == {""}


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (100, "100"), (12.345, "12.35"), (1.5, "1.50"), (12, "12")]
)
def test_a_number_has_as_many_digits_as_it_is_worth(value: float, text: str) -> None:
    assert number(value) == text
