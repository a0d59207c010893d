"""RESULTS.md: the machine, the versions, and every ratio beside its target. Written by the bench alone."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from bench.timing import Elapsed

LIBRARIES = (
    "numpy",
    "numba",
    "polars",
    "deltalake",
    "scipy",
    "pandas",
    "statsmodels",
    "scikit-learn",
)


class Ratio(NamedTuple):
    """One peer beside ridgeline on one work; ``unit`` says what a time is for."""

    work: str
    size: str
    peer: str
    unit: str
    peer_seconds: float
    our_seconds: float
    target: float | None

    @property
    def value(self) -> float:
        """How many times the peer takes as long."""
        return self.peer_seconds / self.our_seconds


class Limit(NamedTuple):
    """A measured quantity and the most it may be."""

    what: str
    measured: float
    unit: str
    limit: float


class Latency(NamedTuple):
    """What clients of the service saw: seconds, answers a second, and its processor seconds an answer."""

    universe: str
    work: str
    clients: int
    p50: float
    p99: float
    rate: float
    processor: float
    p50_target: float | None = None
    p99_target: float | None = None


class Results(NamedTuple):
    """Everything measured: ``nightly`` by step, ``first_calls`` (first and warm seconds) by work."""

    ratios: Sequence[Ratio]
    limits: Sequence[Limit]
    nightly: Mapping[str, Elapsed]
    first_calls: Mapping[str, tuple[float, float]]
    latencies: Sequence[Latency]


def page(results: Results, note: str) -> str:
    """Return the whole page in Markdown."""
    ratios, limits, nightly, first_calls, latencies = results
    total = nightly["total"].processor
    parts = [
        "# Benchmark results",
        f"Written by `python -m bench`; not edited by hand. {note}".rstrip(),
        _table(("machine", ""), machine()),
        "## Rivals",
        "All on one thread of one core, in one process, in turn (A B A B …); medians of processor time, "
        "kernels compiled. Before the clock starts every rival's answer is compared with ridgeline's, "
        "missing numbers included.",
        _table(("work", "size", "peer", "peer", "ridgeline", "ratio", "target", ""), map(_ratio, ratios)),
        "## Nightly run and start-up",
        _table(("what", "measured", "target", ""), map(_limit, limits)),
        "Warm, from the store's Parquet files to the finished frames of one session:",
        _table(
            ("step", "wall ms", "processor ms", "share"),
            (
                (step, f"{1e3 * t.wall:.1f}", f"{1e3 * t.processor:.1f}", f"{t.processor / total:.0%}")
                for step, t in nightly.items()
            ),
        ),
        "## Service",
        "`ridgeline serve` on loopback, on a core of its own where there is one; this process asks. Wall "
        "time as its clients see it, and the service's processor time, for one answer.",
        _table(
            ("universe", "asked for", "clients", "p50", "p99", "a second", "processor", "target", ""),
            map(_latency, latencies),
        ),
        "## First calls",
        "In a full run the first call compiles the kernels, from an empty cache; those that a work above it "
        "used are warm. Other processes load them from Numba's cache on disk instead.",
        _table(
            ("work", "first call", "warm"),
            ((work, *map(duration, both)) for work, both in first_calls.items()),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def machine() -> list[tuple[str, str]]:
    """Return what the numbers depend on."""
    return [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", _processor()),
        ("cores", f"{os.cpu_count()}, one used"),
        ("load at the end", f"{os.getloadavg()[0]:.1f} runnable, this bench one of them"),
        ("system", platform.platform()),
        ("Python", platform.python_version()),
        *((library, version(library)) for library in LIBRARIES),
    ]


def duration(seconds: float) -> str:
    """Write a time with three digits and a unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 100 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _ratio(ratio: Ratio) -> tuple[str, ...]:
    met = "" if ratio.target is None else _met(ratio.value >= ratio.target)
    times = (f"{duration(s)} a {ratio.unit}" for s in (ratio.peer_seconds, ratio.our_seconds))
    target = "" if ratio.target is None else f"≥ {ratio.target:,g}×"
    value = f"{ratio.value:,.0f}×" if ratio.value >= 20 else f"{ratio.value:.1f}×"
    return ratio.work, ratio.size, ratio.peer, *times, value, target, met


def _limit(limit: Limit) -> tuple[str, ...]:
    what, measured, unit, most = limit
    return what, f"{measured:,.0f} {unit}", f"≤ {most:,.0f} {unit}", _met(measured <= most)


def _latency(row: Latency) -> tuple[str, ...]:
    targets = {"p50": (row.p50, row.p50_target), "p99": (row.p99, row.p99_target)}
    asked = [(name, found, most) for name, (found, most) in targets.items() if most is not None]
    return (
        row.universe,
        row.work,
        str(row.clients),
        duration(row.p50),
        duration(row.p99),
        f"{row.rate:,.0f}",
        duration(row.processor),
        ", ".join(f"{name} ≤ {duration(most)}" for name, _, most in asked),
        _met(all(found <= most for _, found, most in asked)) if asked else "",
    )


def _met(met: bool) -> str:
    return "met" if met else "**not met**"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
