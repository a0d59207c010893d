"""A portfolio from a file, from the ledger or from trades, analyzed on a release."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.analysis import analyze
from engine.book import SymbolBook
from engine.valuation import Positions
from service import clock
from service.analysis import describe
from service.book_loader import benchmark_weights, load_book
from service.composed import Composed, Compositions
from service.csv_import.parsing import parse_positions
from service.errors import FailedError, InputError, UsageError
from service.live_book import LiveBook, Market
from service.lots import open_lots, positions_of
from service.names import in_names_of, read_names
from service.settings import Settings
from service.what_if import Trade, traded
from storage.releases import Release
from storage.store import Store


def read_positions(path: Path, *, today: date, asof: date | None = None) -> Positions:
    """Read the open lots of a CSV file, or those that were held on a date.

    Raises
    ------
    InputError
        The file cannot be read, or with everything that is wrong in it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a readable CSV file") from error
    try:
        lots = parse_positions(content, path.name, today=today)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return positions_of(open_lots(lots, asof))


def analyze_file(
    store: Store,
    settings: Settings,
    path: Path,
    *,
    equity: float | None,
    asof: date | None,
    release: Release | None,
) -> dict[str, Any]:
    """Read positions from a CSV and describe everything the book says about them."""
    if equity is not None and not 0 < equity <= 1e12:
        raise UsageError(f"--equity {equity} must be above 0 and at most 1e12")
    positions = read_positions(path, today=clock.now(settings).date(), asof=asof)
    pinned = release or store.release()
    book = load_book(store, asof=asof, release=pinned)
    on: date = book.as_of.item()  # type: ignore[assignment]
    named = [on] * len(positions.symbols)
    positions = in_names_of(on, positions, named, read_names(store, pinned, on))
    positions, expired = _unexpired(positions, book)
    benchmark = benchmark_weights(store, pinned, on)
    rate = settings.option_rate
    analysis = analyze(book, positions, equity=equity, benchmark=benchmark, option_rate=rate)
    return describe(book, positions, analysis, benchmark, expired=expired)


def _unexpired(positions: Positions, book: SymbolBook) -> tuple[Positions, list[str]]:
    """Return positions without the options that expired before the book's session, and their symbols."""
    if positions.options is None:
        return positions, []
    gone = positions.options.expired(book.as_of)
    symbols = [positions.symbols[lot] for lot in np.flatnonzero(gone).tolist()]
    return positions.take(np.flatnonzero(~gone)), symbols


def analyze_stored(store: Store, settings: Settings, owner: str, portfolio_id: str) -> dict[str, Any]:
    """Describe everything that the newest release says about a stored portfolio."""
    return described(stored_portfolio(store, settings, owner, portfolio_id))


def analyze_trades(
    store: Store,
    settings: Settings,
    owner: str,
    portfolio_id: str | None,
    trades: Sequence[str],
    *,
    equity: float | None,
) -> dict[str, Any]:
    """Describe what trades ``SYMBOL=QUANTITY`` would make of a portfolio, or of nothing."""
    live = _live(store, settings)
    before = None if portfolio_id is None else _stored(store, live, owner, portfolio_id)
    return described(traded(_market(live), before, [trade_of(text) for text in trades], equity))


def trade_of(text: str) -> Trade:
    """Read a trade ``SYMBOL=QUANTITY``; ``UsageError`` says what is wrong with it."""
    symbol, _, quantity = text.partition("=")
    try:
        return msgspec.convert({"symbol": symbol, "quantity": float(quantity)}, Trade)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"{text!r} is no trade; write SYMBOL=QUANTITY, SPY=-100 say") from error


def _live(store: Store, settings: Settings) -> LiveBook:
    live = LiveBook(store, settings.option_rate)
    live.refresh()
    return live


def _market(live: LiveBook) -> Market:
    if live.market is None:
        raise FailedError(live.error or "nothing is computed yet; run `ridgeline batch run` first")
    return live.market


def stored_portfolio(store: Store, settings: Settings, owner: str, portfolio_id: str) -> Composed:
    """Compose a stored portfolio on the newest release."""
    return _stored(store, _live(store, settings), owner, portfolio_id)


def _stored(store: Store, live: LiveBook, owner: str, portfolio_id: str) -> Composed:
    portfolio = store.ledger.portfolios.get(owner, portfolio_id)
    return Compositions(store.ledger).of(portfolio, _market(live), live.accounts)


def described(composed: Composed) -> dict[str, Any]:
    """Describe everything that a release says about a composed portfolio."""
    market, positions = composed.market, composed.positions
    analysis = analyze(
        market.book,
        positions,
        equity=composed.equity,
        benchmark=market.benchmark,
        option_rate=market.option_rate,
    )
    return describe(market.book, positions, analysis, market.benchmark, expired=composed.expired)
