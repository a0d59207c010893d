"""Wire records of the portfolio routes."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.onboarding import MAX_ACCOUNT_NAME, MAX_DESCRIPTION, MAX_NAME, NO_NUL

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
AccountName = Annotated[str, Meta(min_length=1, max_length=MAX_ACCOUNT_NAME)]
Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION, pattern=NO_NUL)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class PortfolioDraft(msgspec.Struct, kw_only=True):
    """A portfolio to enter, without positions."""

    name: Name
    account_name: AccountName
    account_type: str = "taxable"
    description: Description | None = None
    currency: Currency = "USD"
    equity_balance: Decimal | None = None
    is_active: bool = True


class PortfolioChanges(msgspec.Struct, kw_only=True):
    """What to change of a portfolio; what is left out stays."""

    name: Name | UnsetType = UNSET
    account_name: AccountName | UnsetType = UNSET
    account_type: str | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    currency: Currency | UnsetType = UNSET
    equity_balance: Decimal | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


class EquityBalance(msgspec.Struct):
    """Net asset value of the account when it was entered."""

    equity_balance: Decimal


class PortfolioItem(msgspec.Struct, kw_only=True):
    """A portfolio; ``equity_balance`` is as entered, the values are those of the book, null without one."""

    id: str
    user_id: str
    name: str
    account_name: str
    account_type: str
    description: str | None
    currency: str
    equity_balance: float | None
    is_active: bool
    created_at: str
    updated_at: str
    deleted_at: str | None
    position_count: int
    net_asset_value: float | None
    total_value: float | None


class PortfolioList(msgspec.Struct):
    """Portfolios of an owner, oldest first, and what they are worth together; null without a book."""

    portfolios: list[PortfolioItem]
    total_count: int
    active_count: int
    net_asset_value: float | None
    total_value: float | None


class DeletedPortfolio(msgspec.Struct):
    """That a portfolio is gone from sight, and since when."""

    success: bool
    message: str
    portfolio_id: str
    deleted_at: str
