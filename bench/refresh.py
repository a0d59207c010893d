"""A night of many portfolios: books in the ledger of a computed store, and their snapshots of one session.

``python -m bench.refresh STORE PORTFOLIOS`` enters them and measures in a process of its own, on every core.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import timing
from bench.markets import LAST_SESSION, PARTIAL
from service.jobs.portfolio_refresh import refresh_portfolios
from service.jobs.progress import Silent
from service.settings import Settings
from storage import bulk
from storage.ledger_tables import portfolios, positions
from storage.processes import timestamp
from storage.store import Store, open_store

OWNER = "bench"
COMMAND = [sys.executable, "-m", "service.cli"]
N_POSITIONS = 50
N_PUBLIC = N_POSITIONS - 2  # the others are cash and an option


class Refreshed(NamedTuple):
    """Wall seconds from the call to the published release, and the peak resident bytes of its process."""

    seconds: float
    peak_bytes: int


def measure_refresh(store: Path, n_portfolios: int) -> Refreshed:
    """Compute the two last sessions, and measure the snapshots of the last one in a process of its own."""
    first = LAST_SESSION - timedelta(days=1)
    span = ["--from", str(first), "--to", str(LAST_SESSION), "--store", str(store)]
    code = subprocess.call([*COMMAND, "backfill", *span], stdout=subprocess.DEVNULL)
    if code not in (0, PARTIAL):
        raise AssertionError(f"the two sessions before the refresh were not computed: exit code {code}")
    environment = {name: value for name, value in os.environ.items() if name not in timing.ONE_THREAD}
    command = [sys.executable, "-m", "bench.refresh", str(store), str(n_portfolios)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return Refreshed(*json.loads(answer))


def _measured(path: Path, n_portfolios: int) -> Refreshed:
    """Take the first snapshots, whose time is not asked for, and then those of the next session."""
    with open_store(path) as store:
        sessions = store.read("factor_covariance", columns=["session"])["session"].unique().sort()
        before, last = sessions[-2], sessions[-1]
        symbols = sorted(store.ledger.symbols.ids())
        _enter(store, symbols, before, n_portfolios)
        refresh_portfolios(store, Settings(), Silent(), sessions=(before, before))
        start = time.perf_counter()
        outcome = refresh_portfolios(store, Settings(), Silent(), sessions=(last, last))
        seconds = time.perf_counter() - start
        _check(store, outcome.snapshots, n_portfolios, last)
    return Refreshed(seconds, _peak_bytes())


def _peak_bytes() -> int:
    """Peak of this program; what ``getrusage`` says of a child begins with the peak of whoever started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _enter(store: Store, symbols: Sequence[str], session: date, n_portfolios: int) -> None:
    """Enter portfolios long and short in symbols drawn from all, each with a cash lot and an option."""
    now, ids = timestamp(), bulk.new_ids(n_portfolios)
    names = [f"Account {at}" for at in range(n_portfolios)]
    accounts = {
        "portfolio_id": ids,
        "owner": [OWNER],
        "name": names,
        "account_name": names,
        "account_type": ["taxable"],
        "currency": ["USD"],
        "is_active": [True],
        "revision": [1],
        "starting_equity": [Decimal(1_000_000)],
        "starting_session": [session],
        "created_at": [now],
        "updated_at": [now],
    }
    lots = _lots(symbols, session, n_portfolios)
    lots |= {"portfolio_id": [each for each in ids for _ in range(N_POSITIONS)], "created_at": [now]}
    lots |= {"updated_at": [now], "entered_session": [session]}
    with store.ledger.writing() as connection:
        for table, columns in ((portfolios, accounts), (positions, lots)):
            n_rows = max(map(len, columns.values()))
            repeated = {name: list(values) * (n_rows // len(values)) for name, values in columns.items()}
            bulk.insert(connection, table, repeated)


def _lots(symbols: Sequence[str], session: date, n_portfolios: int) -> dict[str, Sequence[Any]]:
    """Draw lots; what repeats from portfolio to portfolio is given once."""
    rng = np.random.default_rng(7)
    drawn = [rng.choice(len(symbols), N_PUBLIC, replace=False) for _ in range(n_portfolios)]
    listed = [[symbols[row] for row in rows] for rows in drawn]
    sides = rng.choice([1, 1, 1, 1, -1], n_portfolios * N_POSITIONS)
    quantity = rng.integers(10, 1000, n_portfolios * N_POSITIONS) * sides
    shares = [None] * (N_PUBLIC + 1)
    return {
        "position_id": bulk.new_ids(n_portfolios * N_POSITIONS),
        "number": range(N_POSITIONS),
        "symbol": [name for each in listed for name in (*each, "CASH_USD", f"{each[0]} CALL")],
        "quantity": [Decimal(int(each)) for each in quantity],
        "entry_price": [Decimal(50)] * N_PUBLIC + [Decimal(1), Decimal(4)],
        "entry_date": [session - timedelta(days=30)],
        "investment_class": ["PUBLIC"] * (N_PUBLIC + 1) + ["OPTIONS"],
        "underlying_symbol": [name for each in listed for name in (*shares, each[0])],
        "strike_price": [*shares, Decimal(50)],
        "expiration_date": [*shares, session + timedelta(days=90)],
        "option_type": [*shares, "CALL"],
    }


def _check(store: Store, taken: int, n_portfolios: int, session: date) -> None:
    """Assert that every portfolio got all its rows."""
    if taken != n_portfolios:
        raise AssertionError(f"{taken} of {n_portfolios} snapshots were taken")
    for table, n_rows in (
        ("position_values", N_POSITIONS),
        ("portfolio_exposures", 13),
        ("stress_results", 22),
    ):
        found = len(store.read(table, sessions=(session, session), columns=["portfolio_id"]))
        if found != n_rows * n_portfolios:
            raise AssertionError(f"{table} has {found} rows of {session}, not {n_rows * n_portfolios}")


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    print(json.dumps(_measured(Path(sys.argv[1]), int(sys.argv[2]))))
