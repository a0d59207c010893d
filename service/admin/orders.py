"""What may be ordered: spans of sessions, symbols and portfolios, checked before a run begins."""

from collections.abc import Collection, Sequence
from datetime import date

from service import clock
from service.errors import UsageError
from service.settings import Settings
from storage.errors import NotFound
from storage.ledger import Ledger
from storage.portfolios import Portfolio

MOST_SYMBOLS = 500


def snapshot_span(
    ledger: Ledger,
    settings: Settings,
    portfolio_ids: Collection[str],
    days: tuple[date | None, date | None],
    *,
    force: bool,
) -> tuple[date, date] | None:
    """Return the sessions to take again, the last one the newest closed when not given; None without force.

    Parameters
    ----------
    portfolio_ids : collection of str
        Those that are meant; all when empty.

    Raises
    ------
    UsageError
        ``force`` without a first day, days without ``force``, days that are exchanged or to come, or a first
        one before the first snapshot.
    NotFound
        There is no such portfolio.
    """
    first, last = days
    if force and first is None:
        raise UsageError("say from which day on snapshots are to be taken again: start_date is missing")
    if not force and (first or last):
        raise UsageError("days are for taking snapshots again; give force_rerun with them, or leave them out")
    chosen = _chosen(ledger, portfolio_ids)
    if first is None:
        return None
    until = last or clock.last_closed_session(settings)
    _require_past(settings, until)
    if first > until:
        raise UsageError(f"the first day {first} is after the last one {until}; exchange them")
    late = max((each for each in chosen if each.starting_session), key=_start, default=None)
    if late and first < _start(late):
        raise UsageError(
            f"portfolio {late.portfolio_id} has its first snapshot on {late.starting_session}, and nothing "
            f"is computed before it; begin there instead of on {first}, or name other portfolios"
        )
    return first, until


def _require_past(settings: Settings, day: date) -> None:
    closed = clock.last_closed_session(settings)
    if day > closed:
        raise UsageError(f"{day} has not closed yet; the newest session is {closed}")


def portfolio_scope(
    portfolio_ids: Sequence[str], span: tuple[date, date] | None, *, force: bool
) -> dict[str, object] | None:
    """Return what a run is confined to, None for everything."""
    scope: dict[str, object] = {"portfolio_ids": list(portfolio_ids)} if portfolio_ids else {}
    if span is not None:
        scope |= {"sessions": [str(day) for day in span], "force": force}
    return scope or None


def target_session(settings: Settings, day: date | None) -> date | None:
    """Return the session to compute; ``UsageError`` for a day that is none, or has not closed."""
    if day is not None:
        _require_past(settings, day)
        if not len(clock.sessions_between(day, day)):
            raise UsageError(f"{day} is no session of the exchange; give a trading day")
    return day


def symbols_of(ledger: Ledger, text: str | None) -> list[str] | None:
    """Return the symbols of a comma-separated list; ``UsageError`` for one that nobody knows."""
    if text is None:
        return None
    names = sorted({name.strip().upper() for name in text.split(",") if name.strip()})
    if not names or len(names) > MOST_SYMBOLS:
        raise UsageError(f"give between 1 and {MOST_SYMBOLS} symbols, separated by commas")
    if unknown := sorted(set(names) - ledger.symbols.ids().keys()):
        raise UsageError(
            f"no symbol {', '.join(unknown[:20])}; those that portfolios hold come by themselves"
        )
    return names


def _start(portfolio: Portfolio) -> date:
    return portfolio.starting_session or date.min


def _chosen(ledger: Ledger, portfolio_ids: Collection[str]) -> list[Portfolio]:
    everyones = ledger.portfolios.everyones()
    if missing := set(portfolio_ids) - {each.portfolio_id for each in everyones}:
        raise NotFound(f"no portfolio {', '.join(sorted(missing))}")
    return [each for each in everyones if not portfolio_ids or each.portfolio_id in portfolio_ids]
