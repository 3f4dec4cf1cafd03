"""The report of a soak."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from expected import World

FREE_KIB, KIB_PER_SESSION = 4096, 1.0
"""How much the server may grow between the first and the last quiet point: noise of the allocator and
caches, and so much for each session in between. A session that is kept takes more than ten times that.
"""

CHECKS = {
    "lost": "deliveries that were due and did not come",
    "doubled": "deliveries that came twice",
    "out of order": "deliveries behind a later one",
    "leaked": "deliveries to somebody without the right, the sender, or a subscription that had ended",
    "wrong": "deliveries of what was never posted so",
    "ended": "connections that ended otherwise than they should",
    "refused": "sessions, requests or posts refused without reason",
    "no answer": "windows that waited in vain",
    "slow": "slow readers that were not cut off",
    "too many": "connections beyond the limit that were let in",
    "restart": "exit codes of the server",
    "server": "faults of the server's own",
    "files": "quiet points with files open that nobody needs",
    "memory": "growth of the server",
    "broken": "faults of the soak's own",
}


class Sample(NamedTuple):
    """At a quiet point: the server's memory and open files, and the number of sessions so far."""

    kib: int
    files: int
    sessions: int


def check_memory(world: World, samples: Sequence[Sample]) -> str:
    first, last = samples[0], samples[-1]
    sessions = last.sessions - first.sessions
    most = FREE_KIB + KIB_PER_SESSION * sessions
    text = (
        f"{first.kib / 1024:,.1f} MiB, then {last.kib / 1024:,.1f} MiB {sessions:,} sessions later; "
        f"at most {most / 1024:,.1f} MiB more"
    )
    if last.kib - first.kib > most:
        world.fault("memory", text)
    return text


def summary(world: World, samples: Sequence[Sample], base: int, left: int, took: float) -> tuple[str, bool]:
    """The text, and whether everything was right."""
    lines = [*_done(world, took), ("memory", check_memory(world, samples))]
    files = (
        f"{base} before anybody came, {samples[-1].files} with all and a post's, {left} after all had left"
    )
    lines += [("open files", files), ("", "")]
    for kind, what in CHECKS.items():
        lines.append((kind, f"{world.faults[kind]:>7,} {'✗' if world.faults[kind] else '✓'} {what}"))
    lines += [("", it) for it in world.fault_texts]
    is_good = not world.faults.total()
    lines.append(("", "all is well" if is_good else f"FAILED: {world.faults.total():,} faults"))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in lines), is_good


def _done(world: World, took: float) -> Iterator[tuple[str, str]]:
    it = world.counts
    yield "time", f"{took:,.0f} s with {it['quiet points']} quiet points"
    yield "restarts", f"{it['SIGTERM']} by SIGTERM, {it['SIGKILL']} by SIGKILL"
    yield (
        "sessions",
        f"{it['sessions']:,}; {it['leave']:,} said GOODBYE, {it['reset']:,} were reset, {it['expire']:,} "
        f"expired, {it['ended SIGTERM']:,} were told 1012, {it['ended SIGKILL']:,} killed",
    )
    yield (
        "requests",
        f"{it['refresh']:,} tickets with other groups, {it['stale']:,} with older ones, "
        f"{it['resubscribe']:,} subscriptions anew",
    )
    yield (
        "pages",
        f"{it['resumed']:,} were told what they had missed, {it['too far']:,} were away for too much, "
        f"{it['forgotten']:,} lost the history by a restart; {it['upgrades']:,} upgrades, "
        f"{it['error-jwt']:,} asked for a token",
    )
    yield "slow readers", f"{it['slow']} cut off, of whom {it['told 1013']} were told 1013"
    yield "503", f"{it['refused 503']:,} on the way back, {it['too many']} in excess"
    yield "posts", f"{it['posts']:,}, {it['posts'] / took:,.1f} a second"
    yield (
        "deliveries",
        f"{it['deliveries']:,}, {it['deliveries'] / took:,.0f} a second; {it['due']:,} were due, "
        "the others came while something was changing",
    )
