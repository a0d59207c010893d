"""Positions entered and changed one by one: the rules of the CSV import under the fields' own names."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from msgspec.structs import replace

from service.csv_import.fields import LIMIT, decimals
from service.csv_import.rows import MAX_DECIMALS, Row, Rules
from service.lots import PositionType, kind_of, position_type
from storage.positions import Lot

Faults: TypeAlias = list[tuple[str, str]]
FIELDS = {
    "Symbol": "symbol",
    "Quantity": "quantity",
    "Entry Price Per Share": "avg_cost",
    "Entry Date": "entry_date",
    "Investment Class": "investment_class",
    "Investment Subtype": "investment_subtype",
    "Underlying Symbol": "underlying_symbol",
    "Strike Price": "strike_price",
    "Expiration Date": "expiration_date",
    "Option Type": "position_type",
    "Exit Date": "exit_date",
    "Exit Price Per Share": "exit_price",
}
SHORTS = ("SHORT", "SC", "SP")
LOT_FIELDS = dict(zip(FIELDS.values(), Row._fields, strict=True))
OPTION_TYPES = {"C": "CALL", "P": "PUT"}


class Checked(NamedTuple):
    """A lot, None when a field cannot be read; and what is wrong, by field."""

    lot: Lot | None
    faults: Faults


def checked(row: Row, *, stated: PositionType | None, today: date) -> Checked:
    """Check the texts of one position; ``stated`` is its direction, as far as its owner says it."""
    if stated and len(stated) == 2 and not row.option_type:
        row = row._replace(option_type=OPTION_TYPES[stated[1]])
    if stated in SHORTS:
        row = row._replace(quantity=f"-{row.quantity.lstrip('-')}")
    faults, lots = _faults(row, today)
    if faults:
        return Checked(None, faults)
    return Checked(lots[0], list(_direction_faults(lots[0], stated)))


def edited(lot: Lot, changes: Mapping[str, Any], *, stated: PositionType | None, today: date) -> Checked:
    """Check a lot with changes to its fields; what was entered before is not judged again."""
    draft = replace(lot, **changes)
    faults = [fault for fault in _faults(row_of(draft), today)[0] if LOT_FIELDS[fault[0]] in changes]
    if faults:
        return Checked(None, faults)
    if stated and (stated in SHORTS or "quantity" not in changes):
        size = abs(draft.quantity)
        draft = replace(draft, quantity=-size if stated in SHORTS else size)
    return Checked(draft, list(_direction_faults(draft, stated)))


def _faults(row: Row, today: date) -> tuple[Faults, list[Lot]]:
    rules = Rules(today, refuse_duplicates=False)
    rules.check(1, row)
    return [(FIELDS[error.field or "Symbol"], error.message) for error in rules.errors], rules.lots


def _direction_faults(lot: Lot, stated: PositionType | None) -> Iterator[tuple[str, str]]:
    found = position_type(lot)
    if stated and stated != found:
        yield "position_type", f"this is a position of type {found}, not {stated}"


def row_of(lot: Lot) -> Row:
    """Spell a lot as the texts that a file would have for it."""
    return Row(*(spelled(getattr(lot, name)) for name in Row._fields))


def spelled(value: Decimal | date | str | None) -> str:
    """Spell a value as a cell."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def mark_faults(lot: Lot, price: Decimal | None, on: date | None, today: date) -> Iterator[tuple[str, str]]:
    """Say what is wrong with the price that an owner gives a position."""
    if price is None:
        if on is not None:
            yield "manual_price", "a manual_price_date needs a manual_price"
        return
    if kind_of(lot) != "private":
        yield "manual_price", "only a private position has a price of its owner's"
    elif not price.is_finite() or not 0 <= price < LIMIT or decimals(str(price)) > MAX_DECIMALS:
        yield "manual_price", f"give a price from 0 on with at most {MAX_DECIMALS} decimals"
    if on is not None and on > today:
        yield "manual_price_date", "the date lies in the future"
