"""Turns measurements into the table with goals."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, median
from typing import NamedTuple

from load import Result

POSTS_PER_SECOND = 20
POLLERS = 200
POSTERS = 8
"""How many posts are in progress at a time."""
PACES = {"pages pace": POSTS_PER_SECOND, "pages pace 5000": 5, "pollers pace": 10}
"""Posts a second to pages: as many as to WAMP's subscribers, or as many as take less than half of a core."""
DELIVERIES_IN_C = "  in deliveries by send() in C"
"""How many of the yardstick's deliveries to 1,000 subscribers cost as much."""

Results = Mapping[str, Sequence[Result]]
"""The results of one pass by the name of the load. "yard" precedes the names of those of the loop in C."""


class Figure(NamedTuple):
    """One line of the table. ``yard`` is the figure of the loop in C."""

    name: str
    what: str
    value: float
    unit: str
    yard: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"≤ {number(self.at_most)}"
        return "" if self.at_least is None else f"≥ {number(self.at_least)}"

    @property
    def mark(self) -> str:
        if self.at_most is None and self.at_least is None:
            return ""
        is_met = (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )
        return "✓" if is_met else "✗"


def figures(found: Results) -> Iterator[Figure]:
    """The table of one pass, without the lines of loads that were not run."""
    for step in ("1000", "5000", "10000"):
        if step in found:
            yield from _crowd(found, step)
    if "tls" in found:
        yield from _over_tls(found)
    for step, what in (
        ("serializers", "1,000, a quarter each on MsgPack and CBOR"),
        ("groups", "1,000 with 1,000 sets of groups"),
    ):
        if step in found:
            ours = _delivery(found, step)
            yield Figure(f"cpu_{step}", f"{what}: CPU per delivery", ours, "µs")
            ratio = ours / _delivery(found, "1000")
            yield Figure(f"ratio_{step}", "  ratio to 1,000 on JSON with one set", ratio, "", at_most=1.1)
    yield from _posts(found)
    opened = found["5000"][0]
    handshake = opened.open_cpu / 5000 * 1e6
    yield Figure("cpu_open", "handshake to SUBSCRIBED: CPU", handshake, "µs")
    yield Figure("ratio_open", DELIVERIES_IN_C, handshake / _delivery(found, "yard 1000"), "", at_most=80)
    yield Figure("cpu_close", "  close: CPU", opened.close_cpu / 5000 * 1e6, "µs")
    yield Figure("memory", "idle connection: memory over the base", opened.open_kib / 5000, "KiB", at_most=4)
    yield from _latencies(found)
    if "pollers" in found:
        yield from _pages(found)


def _delivery(found: Results, step: str) -> float:
    return mean(it.delivery_us for it in found[step])


def _rate(found: Results, step: str) -> float:
    return mean(it.deliveries / it.seconds for it in found[step])


def _crowd(found: Results, step: str) -> Iterator[Figure]:
    ours, yard, who = _delivery(found, step), _delivery(found, f"yard {step}"), f"{int(step):,} subscribers"
    yield Figure(f"cpu_{step}", f"{who}: CPU per delivery", ours, "µs", yard)
    yield Figure(f"ratio_{step}", "  ratio to send() in C", ours / yard, "", at_most=1.1)
    yield Figure(f"rate_{step}", "  deliveries", _rate(found, step), "1/s", _rate(found, f"yard {step}"))


def _over_tls(found: Results) -> Iterator[Figure]:
    ours, opened = _delivery(found, "tls"), found["tls"][0].open_cpu / 1000 * 1e6
    yield Figure("cpu_tls", "1,000 subscribers over TLS: CPU per delivery", ours, "µs")
    ratio = ours / _delivery(found, "1000")
    yield Figure("ratio_tls", "  ratio to the same without TLS", ratio, "", at_most=3)
    yield Figure("open_tls", "  handshakes to SUBSCRIBED: CPU", opened, "µs")


def _posts(found: Results) -> Iterator[Figure]:
    many, yard_many = found["boards"][0], found["yard boards"][0]
    rates = [it.posts / it.seconds for it in (many, yard_many)]
    yield Figure("posts", "1,000 boards, 5 subscribers each: posts", rates[0], "1/s", rates[1])
    # Per second of CPU, because other processes take wall-clock time from both, and not equally.
    rates = [it.posts / it.cpu for it in (many, yard_many)]
    yield Figure("posts_cpu", "  per second of CPU", rates[0], "1/s", rates[1])
    yield Figure("ratio_posts", "  ratio to send() in C", rates[0] / rates[1], "", at_least=0.22)
    nobody, yard_nobody = found["nobody"][0].post_us, found["yard nobody"][0].post_us
    yield Figure("cpu_post", "POST with no subscriber: CPU", nobody, "µs", yard_nobody)
    yield Figure("ratio_post", DELIVERIES_IN_C, nobody / _delivery(found, "yard 1000"), "", at_most=20)
    if "nobody journal" in found:
        durable = found["nobody journal"][0]
        more = durable.post_us - nobody
        yield Figure("cpu_post_journal", "  more with the journal in SQLite: CPU", more, "µs", at_most=60)
        for step, what in (("nobody", "memory"), ("nobody journal", "SQLite")):
            # There are always as many posts in progress, so an answer takes this long in the mean.
            taken = POSTERS * found[step][0].seconds / found[step][0].posts * 1e3
            name = f"answer_{what.lower()}"
            yield Figure(
                name, f"  {POSTERS} posts at a time, journal in {what}: mean to the answer", taken, "ms"
            )


def _latencies(found: Results) -> Iterator[Figure]:
    big, few = found["pace"][0].boards
    pace = f"{POSTS_PER_SECOND} posts/s"
    yield Figure("last_p99", f"{pace} to 1,000: p99 to the last", big.last_p99 * 1e3, "ms", at_most=20)
    yield Figure("last_p50", "  p50 to the last", big.last_p50 * 1e3, "ms")
    yield Figure("each_p99", "  p99 to each", big.p99 * 1e3, "ms")
    yield Figure("each_p50", "  p50 to each", big.p50 * 1e3, "ms")
    yield Figure("few_p99", f"{pace} to 5 on another board, just after: p99", few.p99 * 1e3, "ms", at_most=6)
    yield Figure("few_p50", "  p50", few.p50 * 1e3, "ms")


def _pages(found: Results) -> Iterator[Figure]:
    """Tuleap's pages, each with its ratio to WAMP in the same pass."""
    for step, paced in (("1000", "pages pace"), ("5000", "pages pace 5000")):
        ours = _delivery(found, f"pages {step}")
        yield Figure(f"cpu_pages_{step}", f"{int(step):,} pages over socket.io: CPU per delivery", ours, "µs")
        ratio = ours / _delivery(found, step)
        yield Figure(f"ratio_pages_{step}", "  ratio to WAMP's subscribers", ratio, "", at_most=1.05)
        yield _p99(found, paced, f"pages_{step}_p99")
    polled = _delivery(found, "pollers")
    yield Figure("cpu_pollers", f"{POLLERS} pages over long-polling: CPU per delivery", polled, "µs")
    yield _p99(found, "pollers pace", "pollers_p99")
    opened = mean(it.open_cpu for it in found["pages 5000"]) / 5000 * 1e6
    yield Figure("open_pages", "polling, upgrade and subscription of a page: CPU", opened, "µs")
    ratio = opened / (found["5000"][0].open_cpu / 5000 * 1e6)
    yield Figure("ratio_open_pages", "  ratio to WAMP's handshake", ratio, "", at_most=2)


def _p99(found: Results, step: str, name: str) -> Figure:
    paced = found[step][0]
    (latency,) = paced.boards
    return Figure(name, f"  {PACES[step]} posts/s: p99 to each", latency.p99 * 1e3, "ms")


def without_goals(found: Sequence[Figure]) -> list[Figure]:
    """For a peer, which has goals of its own."""
    return [it._replace(at_most=None, at_least=None) for it in found]


def medians(passes: Sequence[Results]) -> list[Figure]:
    tables = [list(figures(it)) for it in passes]
    merged = []
    for same in zip(*tables, strict=True):
        yards = [it.yard for it in same if it.yard is not None]
        floors = [it.at_least for it in same if it.at_least is not None]
        merged.append(
            same[0]._replace(
                value=median(it.value for it in same),
                yard=median(yards) if yards else None,
                at_least=median(floors) if floors else None,
            )
        )
    return merged


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}".removesuffix(".00")


def table(found: Sequence[Figure]) -> str:
    lines = [("", "measured", "", "goal", "", "in C")]
    for it in found:
        yard = "" if it.yard is None else number(it.yard)
        lines.append((it.what, number(it.value), it.unit, it.goal, it.mark, yard))
    width = max(len(line[0]) for line in lines)
    return "\n".join(f"{a:<{width}} {b:>9} {c:<4} {d:>8} {e:1} {f:>9}".rstrip() for a, b, c, d, e, f in lines)
