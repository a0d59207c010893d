"""The service under load: a real one on loopback in a process of its own, this process as its clients."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from bench.http_client import Answer, ask_all, request
from bench.report import Latency, Ratio

SERVICE = ("-m", "service.cli", "serve", "--port", "0", "--json", "--store")
PEER = ("-m", "bench.fastapi_peer")
PORTFOLIO = "/api/v1/analytics/portfolio/{}/{}"
ROUTES = (
    "overview",
    "factor-exposures",
    "correlation-matrix",
    "stress-test",
    "volatility",
    "sector-exposure",
    "concentration",
    "diversification-score",
    "positions/factor-exposures",
)
UPLOADERS, READERS = 8, 16
PEER_RATIO = 1.3


class Load(NamedTuple):
    """How many requests of each kind."""

    positions: tuple[int, ...]
    uploads: int
    at_once: int
    reads: int
    rounds: int


class Server(NamedTuple):
    """A service that answers on a port."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """Processor time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_load(universe: str, store: Path, symbols: Sequence[str], load: Load) -> list[Latency]:
    """Onboard and read; ``AssertionError`` when a portfolio is lost, doubled or incomplete."""
    rows: list[Latency] = []
    with serving([*SERVICE, str(store)]) as server:

        def timed(
            work: str, shares: Sequence[Sequence[bytes]], status: int, **targets: float
        ) -> list[Answer]:
            row, answers = ask_timed(server, shares, status)
            rows.append(Latency(universe, work, len(shares), *row, **targets))
            return answers

        made: dict[str, int] = {}

        def onboarded(n_clients: int, n_each: int, n_positions: int, **targets: float) -> None:
            shares = [[upload(symbols, n_positions) for _ in range(n_each)] for _ in range(n_clients)]
            answers = timed(f"onboarding, {n_positions:,} positions", shares, 201, **targets)
            made.update({json.loads(answer.body)["portfolio_id"]: n_positions for answer in answers})

        few, *many = load.positions
        onboarded(1, load.uploads, few, p50_target=0.015, p99_target=0.050)
        onboarded(UPLOADERS, load.at_once // UPLOADERS, few)
        for n_positions in many:
            onboarded(1, max(load.uploads // 8, 3), n_positions, p50_target=0.120)
        _assert_all_there(server, made)
        asked = [read(route, one) for one in list(made)[: load.uploads] for route in ROUTES]
        timed("analytics, first answers", [asked], 200)
        timed("analytics, right after uploads", shares_of(asked, load.reads), 200)
        wait_for_snapshots(server, made)
        ask_all(server.port, [asked])
        timed("analytics", shares_of(asked, load.reads), 200, p99_target=0.008)
    return rows


def measure_peer(store: Path, symbols: Sequence[str], load: Load) -> tuple[list[Latency], Ratio]:
    """Read the overview from the service and from the same handler on FastAPI, in turn."""
    size = f"{load.positions[0]} positions, {READERS} clients"
    with serving([*SERVICE, str(store)]) as ours:
        made = ask_all(ours.port, [[upload(symbols, load.positions[0]) for _ in range(READERS)]])
        ids = [json.loads(answer.body)["portfolio_id"] for answer in made]
        wait_for_snapshots(ours, ids)
        asked = [read("overview", one) for one in ids]
        with serving([*PEER, str(store)]) as peer:
            if [a.body for a in ask_all(ours.port, [asked])] != [a.body for a in ask_all(peer.port, [asked])]:
                raise AssertionError("the service and its peer do not answer the same")
            found: dict[Server, list[tuple[float, float, float, float]]] = {ours: [], peer: []}
            for _ in range(load.rounds):
                for server, turns in found.items():
                    turns.append(ask_timed(server, shares_of(asked, load.reads), 200)[0])
    medians = {server: np.median(turns, axis=0).tolist() for server, turns in found.items()}
    names = {ours: "ridgeline", peer: "FastAPI + uvicorn"}
    rows = [
        Latency("simulated", f"overview, {names[server]}", READERS, *row) for server, row in medians.items()
    ]
    ratio = Ratio(
        "overview over HTTP, kept answers",
        size,
        "FastAPI + uvicorn, the same handler",
        "request",
        medians[peer][-1],
        medians[ours][-1],
        PEER_RATIO,
    )
    return rows, ratio


def wait_for_snapshots(server: Server, portfolio_ids: Iterable[str]) -> None:
    """Wait until the service has the first snapshots, which a job takes after uploads."""
    lacking, until = list(portfolio_ids), time.monotonic() + 120
    while lacking:
        if time.monotonic() > until:
            raise AssertionError("the first snapshots of what was uploaded were not taken")
        time.sleep(0.1)
        asked = [request("GET", f"/api/v1/data/portfolio/{one}/snapshot") for one in lacking]
        answers = [json.loads(answer.body)["snapshot_date"] for answer in ask_all(server.port, [asked])]
        lacking = [one for one, day in zip(lacking, answers, strict=True) if day is None]


@contextmanager
def serving(command: Sequence[str], cores: Iterable[int] = (0,)) -> Iterator[Server]:
    """Serve until the block ends, on a core of its own where there is one, or on those given."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            os.sched_setaffinity(process.pid, set(cores))
            assert process.stdout is not None
            port = int(_document(process.stdout)["url"].rpartition(":")[2])
            _wait_for(port)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)


def upload(symbols: Sequence[str], n_positions: int) -> bytes:
    """Return a request that onboards a portfolio of its own name."""
    drawn, name, boundary = np.random.default_rng(), uuid4().hex, uuid4().hex
    held = drawn.choice(len(symbols), n_positions, replace=False)
    quantities = drawn.integers(1, 500, n_positions) * drawn.choice([1, 1, 1, -1], n_positions)
    lots = "".join(
        f"{symbols[row]},{quantity},{price:.2f},2016-01-05\n"
        for row, quantity, price in zip(held, quantities, drawn.uniform(5, 200, n_positions), strict=True)
    )
    fields = {
        'portfolio_name"': name,
        'account_name"': name,
        'account_type"': "taxable",
        'equity_balance"': "500000",
        'csv_file"; filename="lots.csv"\r\nContent-Type: text/csv': (
            f"Symbol,Quantity,Entry Price Per Share,Entry Date\n{lots}"
        ),
    }
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{head}\r\n\r\n{text}\r\n'
        for head, text in fields.items()
    )
    body = f"{''.join(parts)}--{boundary}--\r\n".encode()
    return request(
        "POST", "/api/v1/onboarding/create-portfolio", body, f"multipart/form-data; boundary={boundary}"
    )


def ask_timed(
    server: Server, shares: Sequence[Sequence[bytes]], status: int
) -> tuple[tuple[float, float, float, float], list[Answer]]:
    """p50, p99, requests a second and processor seconds a request of the server; and the answers."""
    start, before = time.perf_counter(), server.processor_seconds()
    answers = ask_all(server.port, shares)
    elapsed, worked = time.perf_counter() - start, server.processor_seconds() - before
    if wrong := [answer for answer in answers if answer.status != status]:
        raise AssertionError(f"{len(wrong)} wrong answers, the first: {wrong[0].body[:300]!r}")
    p50, p99 = np.percentile([answer.seconds for answer in answers], (50, 99)).tolist()
    return (p50, p99, len(answers) / elapsed, worked / len(answers)), answers


def _assert_all_there(server: Server, made: Mapping[str, int]) -> None:
    """Assert that the service lists exactly the portfolios that were made, each with all its positions."""
    listed = json.loads(ask_all(server.port, [[request("GET", "/api/v1/portfolios")]])[0].body)["portfolios"]
    found = [(each["id"], each["position_count"]) for each in listed]
    if len(found) != len(made) or dict(found) != made:
        raise AssertionError(f"{len(made)} portfolios were made; {len(found)} are there, or some lack lots")


def shares_of(asked: Sequence[bytes], n_each: int) -> list[list[bytes]]:
    drawn = np.random.default_rng(5)
    return [[asked[at] for at in drawn.integers(len(asked), size=n_each)] for _ in range(READERS)]


def read(route: str, portfolio_id: str) -> bytes:
    return request("GET", PORTFOLIO.format(portfolio_id, route))


def _document(lines: Iterable[str]) -> dict[str, str]:
    text = ""
    for line in lines:
        text += line
        if line == "}\n":
            found: dict[str, str] = json.loads(text)
            return found
    raise AssertionError(f"the service ended: {text}")


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError):
            if ask_all(port, [[request("GET", "/health/ready")]])[0].status == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the service did not get ready")
