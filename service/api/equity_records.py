"""Wire records of the equity changes of a portfolio."""

from datetime import date
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.onboarding import NO_NUL
from storage.equity_changes import ChangeType

Notes = Annotated[str, Meta(max_length=500, pattern=NO_NUL)]


class EquityChangeDraft(msgspec.Struct, kw_only=True):
    """Money put in or taken out."""

    change_type: ChangeType
    amount: Decimal
    change_date: date
    notes: Notes | None = None


class EquityChangeEdit(msgspec.Struct, kw_only=True):
    """What to change of an equity change; what is left out stays."""

    change_type: ChangeType | UnsetType = UNSET
    amount: Decimal | UnsetType = UNSET
    change_date: date | UnsetType = UNSET
    notes: Notes | UnsetType | None = UNSET


class EquityChangeItem(msgspec.Struct, kw_only=True):
    """Money put in or taken out, and until when that can be corrected."""

    id: str
    portfolio_id: str
    change_type: ChangeType
    amount: float
    change_date: date
    notes: str | None
    created_by_user_id: str
    created_at: str
    updated_at: str
    deleted_at: str | None
    editable_until: str
    deletable_until: str
    is_deleted: bool


class EquityChangePage(msgspec.Struct):
    """A page of equity changes, the newest date first."""

    items: list[EquityChangeItem]
    page: int
    page_size: int
    total_items: int
    total_pages: int


class Flows(msgspec.Struct):
    """What was put in and taken out, and the difference."""

    contributions: float
    withdrawals: float
    net_flow: float


class EquitySummary(msgspec.Struct):
    """Flows since the portfolio was entered, and in its last days."""

    portfolio_id: str
    total_contributions: float
    total_withdrawals: float
    net_flow: float
    last_change: EquityChangeItem | None
    periods: dict[str, Flows]
