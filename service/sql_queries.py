"""Queries of analysts: each in a process of its own (``storage.sandbox``), a few at once, none for long."""

import asyncio
import os
import sys
from dataclasses import dataclass
from signal import Signals
from typing import Literal, TypeAlias

from litestar.concurrency import sync_to_thread

from service.errors import FailedError
from storage import sandbox
from storage.errors import Busy, InvalidQuery
from storage.store import Store

Format: TypeAlias = Literal["json", "csv", "parquet"]
SECONDS = 5.0
AT_ONCE = 2
MAX_LENGTH = 20_000
EXAMPLES = (
    (
        "Betas that stand out on the newest session",
        """SELECT symbol, factor, round(beta, 2) AS beta, round(t_stat, 1) AS t
FROM factors_asof(DATE '9999-12-31')
WHERE factor_set = 'style' AND abs(t_stat) > 2
ORDER BY abs(t_stat) DESC
LIMIT 20""",
    ),
    (
        "Volatility by sector, where the history suffices",
        """SELECT sector, count(*) AS symbols, round(median(realized_vol_63d), 3) AS volatility
FROM metrics_asof(DATE '9999-12-31')
WHERE quality <> 'unavailable' AND sector IS NOT NULL
GROUP BY sector
ORDER BY volatility DESC""",
    ),
    (
        "Prices that were set aside, and why",
        """SELECT symbol, session, field, value, reason
FROM quarantine
ORDER BY session DESC, symbol
LIMIT 100""",
    ),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An encoded result, and whether the query has more rows than are given."""

    content: bytes
    is_truncated: bool


class SqlQueries:
    """Runs queries on a store's published catalog; for one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._n_running = 0

    async def run(self, sql: str, form: Format) -> Answer:
        """Return the result of one SELECT, at most ``sandbox.MAX_ROWS`` rows of it.

        Raises
        ------
        InvalidQuery
            The query is refused, takes longer than ``SECONDS``, or wants more than it may have.
        Busy
            ``AT_ONCE`` queries run already.
        FailedError
            This system cannot hold a query, which therefore was not run.
        """
        if len(sql) > MAX_LENGTH:
            raise InvalidQuery(f"the query has {len(sql):,} characters; {MAX_LENGTH:,} is the limit")
        if self._n_running >= AT_ONCE:
            raise Busy(f"{AT_ONCE} queries run already; ask again in a moment")
        self._n_running += 1
        try:
            catalog = await sync_to_thread(self._store.published_catalog)
            return await _ask([str(catalog), self._store.lake_path, form], sql)
        finally:
            self._n_running -= 1


async def _ask(arguments: list[str], sql: str) -> Answer:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", sandbox.__name__, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(sys.path), **sandbox.ENVIRONMENT},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            content, said = await process.communicate(sql.encode())
    except TimeoutError as error:
        raise InvalidQuery(f"the query was stopped after {SECONDS:.0f} s: select less") from error
    finally:
        if process.returncode is None:
            process.kill()  # by the kernel: DuckDB's own limit only asks, and some functions do not listen
            await process.wait()
    return _answer(process.returncode, content, said.decode(errors="replace"))


def _answer(code: int | None, content: bytes, said: str) -> Answer:
    if code == 0:
        return Answer(content, said == sandbox.TRUNCATED)
    if code == sandbox.REFUSED:
        raise InvalidQuery(said)
    if code is not None and code < 0:
        signal = Signals(-code).name
        raise InvalidQuery(f"the query went beyond what it may use, and was ended ({signal}): select less")
    raise FailedError(f"the query was not run: {said.strip().rpartition(os.linesep)[2]}")
