"""Starts jobs in processes of their own, so that no computation holds the interpreter that serves requests.

A run gets its one id here; the job's process takes the run over, and everybody watches it in the ledger.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from tempfile import TemporaryFile
from threading import Thread
from typing import IO, Any

from service.admin.history import JobType
from service.errors import ConflictError, FailedError
from service.jobs.dispatch import begun
from storage.errors import NotFound
from storage.ledger import Ledger
from storage.processes import this_process
from storage.runs import Run
from storage.store import Store

CANCEL_SECONDS = 30.0
POLL_SECONDS = 0.1
NICENESS = 10  # requests go before jobs
LAST_WORDS = 2_000


class Jobs:
    """Starts, cancels and repeats runs; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def ledger(self) -> Ledger:
        """Where the runs are."""
        return self._store.ledger

    def start(
        self,
        job_type: JobType,
        *,
        by: str,
        session: date | None = None,
        scope: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Run:
        """Start a run and a process that does it.

        Parameters
        ----------
        scope : mapping of str to Any, optional
            ``portfolio_ids``, ``symbols``, ``sessions`` (first and last, ISO text), ``force``; everything
            when not given.
        force : bool
            Ask a run of the same job to end first, and wait up to 30 seconds for it.

        Raises
        ------
        Locked
            The job is running, and still is after 30 seconds with ``force``.
        FailedError
            No process can be started.
        """
        self.ledger.runs.fail_stale()
        if force:
            self._make_way(job_type, by)
        run = begun(self.ledger, job_type, by=by, session=session, scope=scope)
        command = [sys.executable, "-m", "service.cli", "job", run.run_id, "--store", str(self._store.path)]
        said = TemporaryFile()  # noqa: SIM115 - whoever waits for the process closes it
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program, and an id of our own making
                [*command, "--json"], stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        except OSError as error:
            self.ledger.runs.finish(run.run_id, "failed", error=f"no process could be started: {error}")
            raise FailedError(f"no process could be started for {job_type}: {error}") from error
        with suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        Thread(target=self._watch, args=(run.run_id, process, said), daemon=True).start()
        return run

    def cancel(self, run_id: str, *, by: str) -> Run:
        """Ask a run to end; its process does so at the next unit of work.

        Raises
        ------
        NotFound
            There is no such run.
        ConflictError
            It has ended already.
        """
        self.ledger.runs.fail_stale()
        run = self.ledger.runs.named(run_id)
        try:
            self.ledger.runs.cancel(run_id, by)
        except NotFound as error:
            raise ConflictError(f"run {run_id} has ended already: {run.status}") from error
        return run

    def _make_way(self, job_type: JobType, by: str) -> None:
        current = self.ledger.runs.current(job_type)
        if current is None:
            return
        with suppress(NotFound):  # it ended meanwhile
            self.ledger.runs.cancel(current.run_id, by)
        until = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < until:
            self.ledger.runs.fail_stale()
            if self.ledger.runs.named(current.run_id).status != "running":
                return
            time.sleep(POLL_SECONDS)

    def _watch(self, run_id: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        """Wait for a job's process; fail a run that it has left without an end."""
        with said:
            code = process.wait()
            said.seek(max(0, said.tell() - LAST_WORDS))
            words = said.read().decode("utf-8", "replace").strip().splitlines()
        self.ledger.runs.fail_stale()
        run = self.ledger.runs.named(run_id)
        if run.status == "running" and run.pid == this_process().pid:
            reason = words[-1] if words else "it said nothing"
            with suppress(NotFound):
                self.ledger.runs.finish(
                    run_id, "failed", error=f"its process ended with {code} before it began: {reason}"
                )
