"""Wire records of the position routes."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.lots import PositionType
from service.onboarding import NO_NUL

MAX_NOTES = 1000
Notes = Annotated[str, Meta(max_length=MAX_NOTES, pattern=NO_NUL)]


class PositionDraft(msgspec.Struct, kw_only=True):
    """A position to enter, by the rules of the CSV import.

    The quantity's sign is its direction; a short ``position_type`` makes it negative. ``manual_price`` says
    what one unit of a private position is worth from ``manual_price_date`` on, today when that is not given.
    """

    quantity: Decimal
    avg_cost: Decimal
    symbol: str = ""
    position_type: PositionType | None = None
    investment_class: str = ""
    investment_subtype: str | None = None
    entry_date: date | None = None
    underlying_symbol: str | None = None
    strike_price: Decimal | None = None
    expiration_date: date | None = None
    notes: Notes | None = None
    manual_price: Decimal | None = None
    manual_price_date: date | None = None


class BulkDraft(msgspec.Struct):
    """Positions of one portfolio, entered all or none."""

    portfolio_id: str
    positions: Annotated[list[PositionDraft], Meta(min_length=1)]


class PositionChanges(msgspec.Struct, kw_only=True):
    """What to change of a position; what is left out stays.

    ``exit_date`` closes it, or ``close_quantity`` of it in shares as entered, at ``exit_price`` a share of
    that day; ``avg_cost`` and ``entry_price`` are the same.
    """

    quantity: Decimal | UnsetType = UNSET
    avg_cost: Decimal | UnsetType = UNSET
    entry_price: Decimal | UnsetType = UNSET
    position_type: PositionType | UnsetType = UNSET
    notes: Notes | UnsetType | None = UNSET
    symbol: str | UnsetType = UNSET
    allow_symbol_edit: bool = False
    exit_date: date | None = None
    exit_price: Decimal | None = None
    close_quantity: Decimal | None = None
    manual_price: Decimal | None = None
    manual_price_date: date | None = None


class PositionItem(msgspec.Struct, kw_only=True):
    """A position as entered, signed by its direction; values are those of the book, null without a price.

    ``split_factor`` is how many shares of the book's session one share entered has become by splits:
    ``last_price`` is of one of those.
    """

    id: str
    portfolio_id: str
    symbol: str
    quantity: float
    split_factor: float = 1.0
    entry_price: float
    entry_date: date
    position_type: PositionType
    investment_class: str
    investment_subtype: str | None
    notes: str | None
    underlying_symbol: str | None
    strike_price: float | None
    expiration_date: date | None
    last_price: float | None
    market_value: float | None
    unrealized_pnl: float | None
    realized_pnl: float | None
    exit_price: float | None
    exit_date: date | None
    created_at: str
    updated_at: str
    deleted_at: str | None = None
    closed_position_id: str | None = None


class BulkEntered(msgspec.Struct):
    """Positions that were entered."""

    success: bool
    count: int
    positions: list[PositionItem]


class Deletion(msgspec.Struct):
    """Positions to delete; for good when they were just entered and ``force_hard_delete`` asks for it."""

    position_ids: Annotated[list[str], Meta(min_length=1)]
    force_hard_delete: bool = False


class DeletedPosition(msgspec.Struct, kw_only=True):
    """How a position was deleted; ``reason`` says why not for good, where that was asked for."""

    deleted: bool
    position_id: str
    symbol: str
    type: Literal["soft_delete", "hard_delete"]
    deleted_at: str | None = None
    reason: str | None = None


class DeletedPositions(msgspec.Struct):
    """Symbols of the positions that were deleted."""

    deleted: bool
    count: int
    positions: list[str]


class ValidatedSymbol(msgspec.Struct):
    """Whether a position may be entered under a symbol."""

    valid: bool
    symbol: str
    message: str | None = None


class Duplicates(msgspec.Struct):
    """Open positions of a symbol; tags are none of ours, and there are none to inherit."""

    has_duplicates: bool
    existing_positions: list[PositionItem]
    tags_to_inherit: list[str] = []
