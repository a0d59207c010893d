"""How a job tells what it is doing; whoever shows or stores it implements this."""

from typing import Literal, Protocol

Level = Literal["info", "warning", "error"]


class Progress(Protocol):
    """Receiver of a job's progress."""

    def start_phase(self, phase_id: str, phase_name: str, total: int, unit: str) -> None:
        """Begin a phase of ``total`` units, or its next step, which its name tells after a colon."""

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        """Report how many of a phase's units are done."""

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:
        """End a phase and sum it up in a sentence."""

    def add_activity(self, message: str, level: Level = "info") -> None:
        """Add a line to the activity log."""


class Silent:
    """Progress nobody watches."""

    def start_phase(self, phase_id: str, phase_name: str, total: int, unit: str) -> None:
        """Ignore it."""

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        """Ignore it."""

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:
        """Ignore it."""

    def add_activity(self, message: str, level: Level = "info") -> None:
        """Ignore it."""
