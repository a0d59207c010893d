"""Tells the phases of one job as parts of the phases of another that has set it off."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.jobs.progress import Level, Progress


@dataclass(slots=True)
class _Whole:
    """A phase made of parts: how far each is, which have ended, and what was said of them."""

    parts: tuple[str, ...]
    current: dict[str, int] = field(default_factory=dict)
    ended: dict[str, bool] = field(default_factory=dict)
    said: dict[str, None] = field(default_factory=dict)  # in order, each once


class PhaseParts:
    """Progress of a job whose phases are parts of another job's.

    A whole begins with its first part and ends with its last; it has failed when one of them has.

    Parameters
    ----------
    wholes : mapping of str to (str, tuple of str)
        Name of each whole and its parts, by its id. Phases that are part of none are not passed on.
    """

    def __init__(self, progress: Progress, wholes: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
        self._progress = progress
        self._names = {whole: name for whole, (name, _) in wholes.items()}
        self._wholes = {whole: _Whole(parts) for whole, (_, parts) in wholes.items()}
        self._of = {part: whole for whole, (_, parts) in wholes.items() for part in parts}
        self.failed: dict[str, str] = {}

    def start_phase(self, phase_id: str, phase_name: str, total: int, unit: str) -> None:
        """Begin the whole with its first part, and a step of it with one of a part."""
        if (whole := self._of.get(phase_id)) is not None:
            state = self._wholes[whole]
            if not state.current or phase_id in state.current:
                _, colon, step = phase_name.partition(":")
                self._progress.start_phase(whole, f"{self._names[whole]}{colon}{step}", total, unit)
            state.current[phase_id] = 0

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        """Move the whole by the part's share of it."""
        if (whole := self._of.get(phase_id)) is not None:
            state = self._wholes[whole]
            state.current[phase_id] = current
            self._progress.update_phase_progress(whole, sum(state.current.values()) // len(state.parts))

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:
        """End the whole with its last part."""
        if (whole := self._of.get(phase_id)) is not None:
            state = self._wholes[whole]
            state.ended[phase_id] = success
            state.said[summary] = None
            if len(state.ended) == len(state.parts):
                self._end(whole)

    def add_activity(self, message: str, level: Level = "info") -> None:
        """Pass a line on."""
        self._progress.add_activity(message, level)

    def close(self, error: str | None = None) -> None:
        """End what has begun and not ended; with an error it has failed, and so has the first whole."""
        for at, (whole, state) in enumerate(self._wholes.items()):
            is_open = bool(state.current) and len(state.ended) < len(state.parts)
            if error is not None and not state.current and at == 0:
                self._progress.start_phase(whole, self._names[whole], 0, "")
                is_open = True
            if is_open:
                state.ended[""] = error is None
                state.said |= {} if error is None else {error: None}
                self._end(whole)

    def _end(self, whole: str) -> None:
        state = self._wholes[whole]
        success, summary = all(state.ended.values()), "; ".join(state.said)
        if not success:
            self.failed[whole] = summary
        self._progress.complete_phase(whole, success, summary)
