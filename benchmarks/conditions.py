"""The conditions of the measurement that one must know to read the figures."""

import os
import platform
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from figures import Results
from growth import Series

from tuleaprt.transport.sending import sender

SATURATED, DISTURBED = 0.9, 0.2
"""Above these shares of a core, the notes mention it."""
LATE = 0.005
"""Above this delay in seconds, the notes mention it."""


def notes(
    passes: Sequence[Results], growth: Sequence[Series], cores: tuple[int | None, int | None]
) -> Iterator[str]:
    all_of = {step: [it for each in passes for it in each[step]] for step in passes[0]}
    if cores[0] is None:
        yield "There is one core for the server and the load: only the CPU means anything."
    busy = [step for step, them in all_of.items() if max(it.busy for it in them) > SATURATED]
    if busy:
        yield f"The load generator was saturated, so these rates are lower bounds: {', '.join(busy)}."
    late = max(it.late for them in all_of.values() for it in them)
    if late > LATE:
        yield f"Posts at a pace were up to {late * 1e3:.0f} ms late, which is not in their latencies."
    others = max(it.others for them in all_of.values() for it in them)
    others = max(others, *(it.others for each in growth for it in each.points), 0)
    if others > DISTURBED:
        yield f"Others took up to {others:.0%} of a core: rates and latencies are worse than they would be."


def machine() -> dict[str, str]:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "CPU": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release().partition("-")[0],
        "Python": platform.python_version(),
        "Twisted": version("Twisted"),
        "Autobahn": version("autobahn"),
        "cryptography": version("cryptography"),
        "events sent": sender()[1],
    }
