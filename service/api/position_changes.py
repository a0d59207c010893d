"""Routes that change, close and delete positions."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from litestar import delete, put
from msgspec import UNSET

from service import clock
from service.api.auth import Caller
from service.api.position_answers import item
from service.api.position_records import (
    DeletedPosition,
    DeletedPositions,
    Deletion,
    PositionChanges,
    PositionItem,
)
from service.api.positions import TAGS, await_unknown
from service.api.problems import ApiError, invalid
from service.api.resources import Resources
from service.csv_import.fields import decimals
from service.csv_import.rows import MAX_DECIMALS
from service.owned import owned_position
from service.position_entry import edited, mark_faults
from storage.position_queries import Position
from storage.positions import Lot

PATH = "/positions/{position_id:str}"
JUST_ENTERED = timedelta(minutes=5)


@put(PATH, sync_to_thread=True, tags=TAGS)
def change(
    resources: Resources,
    caller: Caller,
    position_id: str,
    data: PositionChanges,
    allow_symbol_edit: bool = False,
) -> PositionItem:
    """Change a position, close it or a part of it; another symbol only within five minutes of its entry.

    ``allow_symbol_edit`` may stand in the query or in the body. What is closed of a part is a position of its
    own, whose id is ``closed_position_id``.
    """
    portfolio, position = owned_position(resources.ledger, caller.owner, position_id)
    today = clock.now(resources.settings).date()
    changes = _changes(data)
    if "symbol" in changes:
        _require_symbol_edit(position, allowed=allow_symbol_edit or data.allow_symbol_edit)
    stated = None if data.position_type is UNSET else data.position_type
    lot, faults = edited(position.lot, changes, stated=stated, today=today)
    if lot is not None:
        faults += _exit_faults(position, lot.quantity, data, today)
        faults += mark_faults(lot, data.manual_price, data.manual_price_date, today)
    if faults or lot is None:
        raise invalid(*((("body", name), message) for name, message in faults))
    closed_id = _stored(resources, position, lot, data, changes)
    if "symbol" in changes:
        await_unknown(resources, portfolio, [lot])
    portfolio, position = owned_position(resources.ledger, caller.owner, position_id)
    return item(position, resources.composed(portfolio), closed_id if closed_id != position_id else None)


@delete(PATH, status_code=200, sync_to_thread=True, tags=TAGS)
def remove(
    resources: Resources, caller: Caller, position_id: str, force_hard_delete: bool = False
) -> DeletedPosition:
    """Delete a position from sight; for good when that is asked for within five minutes of its entry."""
    portfolio, position = owned_position(resources.ledger, caller.owner, position_id)
    hard = force_hard_delete and _just_entered(position)
    resources.ledger.positions.delete(portfolio.portfolio_id, [position_id], hard=hard)
    return DeletedPosition(
        deleted=True,
        position_id=position_id,
        symbol=position.lot.symbol,
        type="hard_delete" if hard else "soft_delete",
        deleted_at=None if hard else clock.utc_now().isoformat().replace("+00:00", "Z"),
        reason="it was entered more than five minutes ago" if force_hard_delete and not hard else None,
    )


@delete("/positions/bulk", status_code=200, sync_to_thread=True, tags=TAGS)
def remove_many(resources: Resources, caller: Caller, data: Deletion) -> DeletedPositions:
    """Delete several positions, none when one of them is not the caller's."""
    ids = list(dict.fromkeys(data.position_ids))
    owned = [owned_position(resources.ledger, caller.owner, each)[1] for each in ids]
    groups: dict[tuple[str, bool], list[str]] = {}
    for each in owned:
        hard = data.force_hard_delete and _just_entered(each)
        groups.setdefault((each.portfolio_id, hard), []).append(each.position_id)
    with resources.ledger.writing():
        for (portfolio_id, hard), chosen in groups.items():
            resources.ledger.positions.delete(portfolio_id, chosen, hard=hard)
    return DeletedPositions(True, len(owned), [position.lot.symbol for position in owned])


def _changes(data: PositionChanges) -> dict[str, Any]:
    """Fields of the lot that are given, by the ledger's names."""
    if data.avg_cost is not UNSET and data.entry_price not in (UNSET, data.avg_cost):
        raise invalid((("body", "entry_price"), "avg_cost and entry_price are the same; give one of them"))
    price = data.entry_price if data.avg_cost is UNSET else data.avg_cost
    symbol = data.symbol if data.symbol is UNSET else data.symbol.strip().upper()
    given = {
        "symbol": symbol,
        "quantity": data.quantity,
        "entry_price": price,
        "exit_date": UNSET if data.exit_date is None else data.exit_date,
        "exit_price": UNSET if data.exit_price is None else data.exit_price,
    }
    return {name: value for name, value in given.items() if value is not UNSET}


def _stored(
    resources: Resources, position: Position, lot: Lot, data: PositionChanges, changes: dict[str, Any]
) -> str:
    """Store what was checked, and return the id of what is closed, if anything is.

    Of an open position the exit closes it; of a closed one it is corrected.
    """
    closes = position.lot.exit_date is None and lot.exit_date is not None
    exits = ("exit_date", "exit_price") if closes else ()
    fields = {name: getattr(lot, name) for name in changes if name not in exits}
    fields |= {} if data.position_type is UNSET else {"quantity": lot.quantity}
    fields |= {} if data.notes is UNSET else {"notes": data.notes}
    queries, ids = resources.ledger.positions, (position.portfolio_id, position.position_id)
    with resources.ledger.writing():
        if fields:
            queries.update(*ids, **fields)
        if data.manual_price is not None:
            on = data.manual_price_date or clock.now(resources.settings).date()
            queries.mark(*ids, on, data.manual_price)
        if closes and lot.exit_date:
            return queries.close(
                *ids,
                lot.exit_date,
                lot.exit_price,
                quantity=data.close_quantity,
                held_session=_held_session(resources, position),
            )
    return position.position_id


def _held_session(resources: Resources, position: Position) -> date | None:
    """Return the session of the newest snapshot if that has the position."""
    store, portfolio_id = resources.store, position.portfolio_id
    release = store.release(layer="portfolio")
    snapshots = store.read(
        "portfolio_snapshots", release=release, columns=("session",), portfolios=[portfolio_id]
    )
    newest = snapshots["session"].max()
    if not isinstance(newest, date):
        return None
    lots = store.read(
        "position_values",
        release=release,
        columns=("position_id",),
        portfolios=[portfolio_id],
        sessions=(newest, newest),
    )
    return newest if position.position_id in lots["position_id"] else None


def _exit_faults(
    position: Position, quantity: Decimal, data: PositionChanges, today: date
) -> Iterator[tuple[str, str]]:
    is_open, size = position.lot.exit_date is None, abs(quantity)
    if data.exit_date is not None and data.exit_date > today:
        yield "exit_date", "the date lies in the future"
    if (
        is_open
        and data.exit_date is None
        and (data.exit_price is not None or data.close_quantity is not None)
    ):
        yield "exit_date", "give the date on which the position is closed"
    if data.close_quantity is None:
        return
    if not is_open:
        yield "close_quantity", "this position is closed"
    elif not data.close_quantity.is_finite() or not 0 < data.close_quantity <= size:
        yield "close_quantity", f"give a quantity above 0, up to {size}"
    elif decimals(str(data.close_quantity)) > MAX_DECIMALS:
        yield "close_quantity", f"give at most {MAX_DECIMALS} decimals"


def _require_symbol_edit(position: Position, *, allowed: bool) -> None:
    if not allowed or not _just_entered(position):
        text = "a symbol can be changed within five minutes of its entry, with allow_symbol_edit"
        raise ApiError(400, "symbol_edit", text)


def _just_entered(position: Position) -> bool:
    return clock.utc_now() - datetime.fromisoformat(position.created_at) < JUST_ENTERED


HANDLERS = [change, remove, remove_many]
