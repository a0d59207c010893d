"""How anything is timed: one thread on one core, rivals in turn, medians. Only the standard library.

Rivals are compared by processor time. On one thread of an idle core it is the wall time; on a core
shared with other programs it leaves their turns out, which would fall on the slower rival.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "POLARS_MAX_THREADS",
        "RAYON_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)
KERNEL_CACHE = "NUMBA_CACHE_DIR"
# A call shorter than this is repeated within its turn: one sample of it would be mostly cold caches.
TURN = 0.1
MAX_CALLS_A_TURN = 15
TOUCHED = 4 << 30  # bytes

Call = Callable[[], object]


def on_one_core() -> None:
    """Start this process anew with one thread in every library, and stay on one core where one can choose."""
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ONE_THREAD})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def touch_memory() -> None:
    """Write to more memory than any call takes, and give it back.

    A virtual machine gets a page from its host when it is first written to, which takes several times as long
    as the work on it; pages that were given back are handed out again.
    """
    bytearray(b"\1") * TOUCHED


def seconds(call: Call) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def in_turn(calls: Mapping[str, Call], *, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each call, of all its threads.

    Every round runs all of them one after the other (A B A B …), so that a busy neighbor slows them all; the
    time that the neighbor itself takes from the core is nobody's.
    """
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            turn = [seconds(call)]
            while sum(turn) < TURN and len(turn) < MAX_CALLS_A_TURN:
                turn.append(seconds(call))
            samples[name] += turn
    return {name: median(times) for name, times in samples.items()}


class Elapsed(NamedTuple):
    """Seconds that passed, and those of them (and of other threads) that the processor worked."""

    wall: float
    processor: float


class Laps:
    """A stopwatch: the time since the lap before, by name."""

    def __init__(self) -> None:
        self.times: dict[str, Elapsed] = {}
        self._last = Elapsed(time.perf_counter(), time.process_time())

    def end(self, name: str) -> None:
        now = Elapsed(time.perf_counter(), time.process_time())
        self.times[name] = Elapsed(now.wall - self._last.wall, now.processor - self._last.processor)
        self._last = now


def steps(run: Callable[[], Mapping[str, Elapsed]], *, rounds: int) -> dict[str, Elapsed]:
    """Median times of each step of a run that times its own steps; the whole run is the step ``total``."""
    samples: dict[str, list[Elapsed]] = {}
    for _ in range(rounds):
        laps = run()
        total = Elapsed(*map(sum, zip(*laps.values(), strict=True)))
        for name, elapsed in {**laps, "total": total}.items():
            samples.setdefault(name, []).append(elapsed)
    return {name: Elapsed(*map(median, zip(*times, strict=True))) for name, times in samples.items()}


# A child starts with the peak of whoever started it, so a small process stands between.
_MEASURED = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def child(command: Sequence[str]) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of a command; ``CalledProcessError`` when it fails."""
    measured = [sys.executable, "-c", _MEASURED, *command]
    environment = {name: value for name, value in os.environ.items() if name != KERNEL_CACHE}
    answer = subprocess.run(measured, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    elapsed, peak = answer.split()
    return float(elapsed), int(peak) * (1 if sys.platform == "darwin" else 1024)
