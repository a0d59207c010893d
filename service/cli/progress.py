"""Progress of a job on a terminal; nothing where nobody watches."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from service.jobs.progress import Level

STYLES: dict[Level, str] = {"info": "dim", "warning": "yellow", "error": "red"}


class TerminalProgress:
    """One bar a phase on stderr, when it is a terminal; otherwise silent."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<27}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start_phase(self, phase_id: str, phase_name: str, total: int, unit: str) -> None:
        """Show a bar; a step of a phase has one of its own."""
        task = self._bars.add_task(phase_name, total=total, visible=total > 0, unit=unit)
        self._tasks[phase_id] = task

    def update_phase_progress(self, phase_id: str, current: int) -> None:
        """Move the bar."""
        self._bars.update(self._tasks[phase_id], completed=current)

    def complete_phase(self, phase_id: str, success: bool, summary: str) -> None:  # noqa: ARG002 - protocol
        """Fill the bar."""
        task = self._bars.tasks[self._tasks[phase_id]]
        self._bars.update(task.id, completed=task.total if success else task.completed)

    def add_activity(self, message: str, level: Level = "info") -> None:
        """Print a line above the bars."""
        if not self._bars.disable:
            self._console.print(message, style=STYLES[level])
