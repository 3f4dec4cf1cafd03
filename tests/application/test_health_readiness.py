"""What is in the way of being ready."""

from tuleaprt.application.health import Readiness


def test_it_is_ready_when_it_listens_and_the_probe_comes_back() -> None:
    readiness = Readiness(lambda: None)
    assert readiness.problems() == ["not listening"]
    readiness.is_listening = True
    assert readiness.problems() == []
    readiness.is_stopping = True
    assert readiness.problems() == ["shutting down"]


def test_a_problem_of_the_probe_is_one() -> None:
    readiness = Readiness(lambda: "the probe hangs")
    readiness.is_listening = True
    assert readiness.problems() == ["the probe hangs"]
