"""Plots how cost and latency grow with the subscribers of a board.

Only ``make bench FULL=1`` installs what this needs (the extra ``bench``).
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from growth import Point
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

OURS, LAST, YARD, GRID = "#1b6ca8", "#d1495b", "#555555", "#e6e6e6"


def draw(points: Sequence[Point], name: str, machine: str, path: Path) -> None:
    """``points`` are those of the series of subscribers."""
    counts = [it.at for it in points]
    figure, (cost, latency) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    cost.plot(counts, [it.cpu for it in points], "o-", color=OURS, label=name)
    cost.plot(counts, [it.yard for it in points], "s--", color=YARD, label="send() in C")
    _dress(cost, "CPU per delivery", "µs")
    latency.plot(counts, [it.last_p99 for it in points], "o-", color=LAST, label="to the last")
    latency.plot(counts, [it.p99 for it in points], "o-", color=OURS, label="to each")
    _dress(latency, "p99 from the post to the subscriber", "ms")
    for it in points:
        text, where = f"{it.pace}/s", (it.at, it.last_p99 or 0)
        latency.annotate(text, where, (0, 7), textcoords="offset points", ha="center", fontsize=8)
    figure.supxlabel(f"{machine}. Above the points: posts per second.", fontsize=8, color=YARD)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _dress(axes: plt.Axes, title: str, unit: str) -> None:
    plain = FuncFormatter(lambda value, _: f"{value:,g}")
    axes.set(xscale="log", yscale="log", xlabel="subscribers on one board", ylabel=unit)
    axes.set_title(title, loc="left", fontsize=11)
    axes.xaxis.set_major_formatter(plain)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.15)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
