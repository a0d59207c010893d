"""The service while a batch runs beside it, until its release is served: the same requests idle and then."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.http_client import Answer, ask_all, request
from bench.report import Latency
from bench.service_load import (
    READERS,
    ROUTES,
    SERVICE,
    Load,
    Server,
    ask_timed,
    read,
    serving,
    shares_of,
    upload,
    wait_for_snapshots,
)
from service import clock
from storage.store import open_store

GAPS = 31  # sessions before the newest that the batch has left to compute
ADMIN = "/api/v1/admin"
MOST_SECONDS = 300.0
TIMES_IDLE = 2.0


def measure_beside_batch(store: Path, symbols: Sequence[str], load: Load) -> list[Latency]:
    """Read idle, then from a batch's start until its release is served; its p99 may be twice that of idle."""
    _leave_gaps(store)
    with serving([*SERVICE, str(store)], cores=range(os.cpu_count() or 1)) as server:
        made = ask_all(server.port, [[upload(symbols, load.positions[0]) for _ in range(READERS)]])
        ids = [json.loads(answer.body)["portfolio_id"] for answer in made]
        wait_for_snapshots(server, ids)  # by another job, which is not what is measured here
        asked = [read(route, one) for one in ids for route in ROUTES]
        ask_all(server.port, [asked])
        shares = shares_of(asked, max(load.reads // 10, 4))
        idle = [ask_timed(server, shares, 200) for _ in range(20)]
        old = _served(server)
        started = json.loads(ask_all(server.port, [[request("POST", f"{ADMIN}/symbol-batch/run")]])[0].body)
        beside, until = [], time.monotonic() + MOST_SECONDS
        while (ended := _status(server))["status"] == "running" or _served(server) == old:
            beside.append(ask_timed(server, shares, 200))
            if time.monotonic() > until or ended["status"] == "failed":
                raise AssertionError(f"release {old} is served still, and the batch is {ended['status']}")
        beside += [ask_timed(server, shares, 200) for _ in range(3)]
    if ended["batch_run_id"] != started["batch_run_id"]:
        raise AssertionError(f"another batch ran: {ended['batch_run_id']}")
    before = _row("analytics, nothing beside it", idle)
    return [before, _row("analytics, a batch beside it", beside, TIMES_IDLE * before.p99)]


def _leave_gaps(store: Path) -> None:
    """Compute a session some way back: those from there to the newest are missing from now on."""
    with open_store(store) as opened:
        newest = opened.release().session
    assert newest is not None
    session = str(clock.sessions_until(newest, GAPS + 1)[0])
    command = [sys.executable, "-m", "service.cli", "batch", "run", "--session", session]
    subprocess.run([*command, "--store", str(store)], check=True, stdout=subprocess.DEVNULL)


def _served(server: Server) -> int:
    """Number of the release that is served."""
    number: int = json.loads(ask_all(server.port, [[request("GET", "/health/ready")]])[0].body)["release"]
    return number


def _status(server: Server) -> dict[str, Any]:
    answer = ask_all(server.port, [[request("GET", f"{ADMIN}/symbol-batch/status")]])[0]
    found: dict[str, Any] = json.loads(answer.body)
    return found


def _row(
    work: str,
    rounds: Sequence[tuple[tuple[float, float, float, float], list[Answer]]],
    p99_target: float | None = None,
) -> Latency:
    seconds = [answer.seconds for _, answers in rounds for answer in answers]
    p50, p99 = np.percentile(seconds, (50, 99)).tolist()
    rate, processor = np.mean([figures[2:] for figures, _ in rounds], axis=0).tolist()
    return Latency("simulated", work, READERS, p50, p99, rate, processor, p99_target=p99_target)
