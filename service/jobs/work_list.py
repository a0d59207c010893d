"""What the symbol batch has to do: which sessions, and in which portions. Imports numpy and the calendar."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from engine.typing import DateArray
from service import clock


@dataclass(frozen=True, slots=True)
class Work:
    """Sessions to compute.

    Attributes
    ----------
    new, again : DateArray
        ``(n,)`` ascending: sessions that have no rows yet, and computed ones whose rows are to be replaced.
    target : np.datetime64 or None
        The session without which the run has failed; any other one may be skipped.
    remainder : int
        Sessions, missing or stale, that are left to later runs.
    marks : mapping of str to date
        Recompute marks of symbols that ``again`` fulfills, as far as ``resume`` if that is given.
    resume : date or None
        The oldest stale session that is left.
    """

    new: DateArray
    again: DateArray
    target: np.datetime64 | None = None
    remainder: int = 0
    marks: Mapping[str, date] = field(default_factory=dict)
    resume: date | None = None

    @property
    def n_sessions(self) -> int:
        """How many there are."""
        return len(self.new) + len(self.again)


def nightly_work(priced: DateArray, computed: DateArray, marks: Mapping[str, date], *, limit: int) -> Work:
    """Plan the newest priced session, the gaps before it, and what changed prices make stale.

    Parameters
    ----------
    priced : DateArray
        ``(n_priced,)`` sessions with a market price, ascending, at least one; the last one is the target.
    computed : DateArray
        ``(n_computed,)`` sessions with rows, ascending. Gaps are looked for from the first one on.
    marks : mapping of str to date
        Session from which each symbol is stale. All computed sessions from the earliest mark on are stale,
        for every symbol: the floor of the specific variances and the medians that stand in for short
        histories are taken over the whole universe, so that a changed or a new symbol moves the loadings of
        others on every session on which it is fitted.
    limit : int
        Sessions that one run computes: the target if it is missing or stale, then the oldest others.
    """
    is_gap = (priced >= computed[0]) & (priced < priced[-1]) if len(computed) else np.zeros(len(priced), bool)
    missing = np.setdiff1d(np.append(priced[is_gap], priced[-1:]), computed)
    stale = computed[computed >= np.datetime64(min(marks.values()))] if marks else computed[:0]
    due = np.union1d(missing, stale)
    others = due[due != priced[-1]]
    lead = due[due == priced[-1]]
    if limit == 1 and len(others):  # a stale target is marked until all before it are done: they would wait
        lead = np.setdiff1d(lead, stale)
    chosen = np.union1d(lead, others[: limit - len(lead)])
    left = np.setdiff1d(stale, chosen)
    resume: date | None = left[0].item() if len(left) else None
    fulfilled = {name: mark for name, mark in marks.items() if resume is None or mark < resume}
    new, again = np.intersect1d(chosen, missing), np.intersect1d(chosen, stale)
    return Work(new, again, priced[-1], len(due) - len(chosen), fulfilled, resume)


def portions(work: Work, size: int, changes: DateArray) -> Iterator[tuple[DateArray, bool]]:
    """Yield consecutive sessions, at most ``size`` at once, and whether they are new.

    None crosses one of the ``changes``, the ascending dates from which other profiles hold.
    """
    for sessions, is_new in ((work.again, False), (work.new, True)):
        if not len(sessions):
            continue
        calendar = clock.sessions_between(sessions[0].item(), sessions[-1].item())
        gap = np.diff(np.searchsorted(calendar, sessions)) > 1
        change = np.diff(np.searchsorted(changes, sessions, side="right")) > 0
        for run in np.split(sessions, np.flatnonzero(gap | change) + 1):
            for at in range(0, len(run), size):
                yield run[at : at + size], is_new
