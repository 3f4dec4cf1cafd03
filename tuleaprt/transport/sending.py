"""Sends the frames of a batch to their sockets: in C where the extension was built, else in Python.

The two do the same. Figures: docs/performance.rst.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

SWITCH = "TULEAPRT_COMPILED"
"""The variable of the environment that, set to 0, chooses Python."""

Incomplete = list[tuple[int, int]]
"""For each frame that was not taken whole: its index, and how many of its bytes were taken."""

SendAll = Callable[[list[Any], list[bytes]], Incomplete]


def send_all(sockets: list[Any], frames: list[bytes]) -> Incomplete:
    """Send each frame to the socket of the same index, without waiting.

    A socket that is full, broken or closed takes nothing. Its error is found at the next write to it.
    """
    incomplete = []
    for index, frame in enumerate(frames):
        try:
            taken = sockets[index].send(frame)
        except OSError:
            taken = 0
        if taken < len(frame):
            incomplete.append((index, taken))
    return incomplete


def sender(environment: Mapping[str, str] = os.environ) -> tuple[SendAll, str]:
    """The function, and in a few words which one it is."""
    if environment.get(SWITCH) == "0":
        return send_all, f"in Python ({SWITCH}=0)"
    try:
        from tuleaprt.transport._sending import send_all as compiled
    except ImportError as error:
        reason = "was not built" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded: {error}"
        return send_all, f"in Python (the extension {reason})"
    return compiled, "in C"
