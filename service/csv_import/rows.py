"""The rules of a row: one in the template's columns becomes a lot, or errors in the order of the columns."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from service.csv_import.errors import CsvRefused, RowError, row_error
from service.csv_import.fields import (
    ALIASES,
    CASH_PREFIX,
    OCC_SYMBOL,
    SUBTYPES,
    SYMBOL,
    day,
    decimals,
    number,
    occ_root,
    occ_strike,
    occ_symbol,
)
from storage.positions import Lot

MAX_SYMBOL, MAX_UNDERLYING = 100, 20
MAX_DECIMALS = 6
Terms: TypeAlias = tuple[str | None, Decimal | None, date | None, str | None]
NO_TERMS: Terms = (None, None, None, None)


class Row(NamedTuple):
    """The texts of a row, in the order of the template's columns."""

    symbol: str = ""
    quantity: str = ""
    entry_price: str = ""
    entry_date: str = ""
    investment_class: str = ""
    investment_subtype: str = ""
    underlying_symbol: str = ""
    strike_price: str = ""
    expiration_date: str = ""
    option_type: str = ""
    exit_date: str = ""
    exit_price: str = ""


class Draft(NamedTuple):
    """What the texts of a row say, in the order of a lot's fields; None for what cannot be read."""

    symbol: str
    quantity: Decimal | None
    entry_price: Decimal | None
    entry_date: date | None
    investment_class: str
    investment_subtype: str | None
    underlying_symbol: str | None
    strike_price: Decimal | None
    expiration_date: date | None
    option_type: str | None
    exit_date: date | None
    exit_price: Decimal | None


class Fault(NamedTuple):
    """A code, the column that it is about, and what was found there."""

    code: str
    column: str
    found: str = ""


@dataclass(slots=True)
class Rules:
    """Checks the rows of one file, one after the other, and keeps their lots and their errors.

    Attributes
    ----------
    today : date
        Entry dates after it lie in the future.
    price_decimals : int
        Decimals that an entry price may have.
    refuse_duplicates : bool
        Whether a second lot of one symbol and entry date is an error.
    """

    today: date
    price_decimals: int = 2
    refuse_duplicates: bool = True
    lots: list[Lot] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def finished(self) -> tuple[Lot, ...]:
        """Return the lots; ``CsvRefused`` when any row was wrong."""
        if self.errors:
            raise CsvRefused(self.errors)
        return tuple(self.lots)

    def check(self, at: int, row: Row) -> None:
        """Check the row with number ``at``."""
        draft = _draft(row)
        faults = self._faults(row, draft)
        if not faults:
            lot = Lot(*(draft if draft.symbol else _named(draft)))  # type: ignore[arg-type] # nothing is None
            key = (lot.symbol, lot.entry_date, lot.strike_price, lot.expiration_date, lot.option_type)
            if self.refuse_duplicates and key in self._seen:
                faults = [Fault("ERR_POS_023", "Symbol + Entry Date")]
            self._seen.add(key)
            self.lots.append(lot)
        for fault in faults:
            self.errors.append(row_error(at, draft.symbol[:MAX_SYMBOL], *fault))

    def _faults(self, row: Row, draft: Draft) -> list[Fault]:
        if not draft.symbol and not (row.underlying_symbol and draft.investment_class == "OPTIONS"):
            return [Fault("ERR_POS_001", "Symbol")]
        faults: list[Fault] = []
        if code := _symbol_code(draft.symbol):
            faults.append(Fault(code, "Symbol", draft.symbol))
        if code := _quantity_code(row.quantity, draft.quantity):
            faults.append(Fault(code, "Quantity", row.quantity))
        if code := self._price_code(row.entry_price, draft.entry_price):
            faults.append(Fault(code, "Entry Price Per Share", row.entry_price))
        if code := self._date_code(row.entry_date, draft.entry_date):
            faults.append(Fault(code, "Entry Date", row.entry_date))
        if row.investment_class:
            faults += _class_faults(draft.investment_class, row.investment_subtype.upper())
        if row.exit_date or row.exit_price:
            faults += _exit_faults(row, draft)
        if draft.investment_class == "OPTIONS":
            faults += _option_faults(row, draft)
        return faults

    def _price_code(self, text: str, price: Decimal | None) -> str | None:
        if price is None:
            return "ERR_POS_009" if text else "ERR_POS_008"
        if price <= 0:
            return "ERR_POS_010"
        return "ERR_POS_011" if decimals(text) > self.price_decimals else None

    def _date_code(self, text: str, entered: date | None) -> str | None:
        if entered is None:
            return "ERR_POS_013" if text else "ERR_POS_012"
        if entered > self.today:
            return "ERR_POS_014"
        today = self.today
        long_ago = (entered.year + 100, entered.month, entered.day) < (today.year, today.month, today.day)
        return "ERR_POS_015" if long_ago else None


def _symbol_code(symbol: str) -> str | None:
    if len(symbol) > MAX_SYMBOL:
        return "ERR_POS_002"
    return "ERR_POS_003" if symbol and not SYMBOL.fullmatch(symbol) else None


def _quantity_code(text: str, quantity: Decimal | None) -> str | None:
    if quantity is None:
        return "ERR_POS_005" if text else "ERR_POS_004"
    if quantity == 0:
        return "ERR_POS_006"
    return "ERR_POS_007" if decimals(text) > MAX_DECIMALS else None


def _class_faults(stated: str, subtype: str) -> Iterator[Fault]:
    if stated not in SUBTYPES:
        yield Fault("ERR_POS_016", "Investment Class", stated)
    if subtype and subtype not in SUBTYPES.get(stated, ()):
        yield Fault("ERR_POS_017", "Investment Subtype", subtype)


def _exit_faults(row: Row, draft: Draft) -> Iterator[Fault]:
    """Faults of the exit; a price without a date is accepted, and waits for one."""
    left, price = draft.exit_date, draft.exit_price
    if row.exit_date and left is None:
        yield Fault("ERR_POS_013", "Exit Date", row.exit_date)
    elif left and draft.entry_date and left < draft.entry_date:
        yield Fault("ERR_POS_018", "Exit Date", row.exit_date)
    if row.exit_price and (price is None or price < 0):
        yield Fault("ERR_POS_009", "Exit Price Per Share", row.exit_price)
    elif decimals(row.exit_price) > MAX_DECIMALS:
        yield Fault("ERR_POS_011", "Exit Price Per Share", row.exit_price)


def _option_faults(row: Row, draft: Draft) -> Iterator[Fault]:
    """Faults of an option's terms; one without a symbol takes the contract's, which must be spellable."""
    underlying, strike = draft.underlying_symbol or "", draft.strike_price
    named = bool(draft.symbol)
    if (
        not SYMBOL.fullmatch(underlying)
        or len(underlying) > MAX_UNDERLYING
        or not (named or occ_root(underlying))
    ):
        yield Fault("ERR_POS_019", "Underlying Symbol", underlying)
    if strike is None or decimals(row.strike_price) > MAX_DECIMALS or not (named or occ_strike(strike)):
        yield Fault("ERR_POS_020", "Strike Price", row.strike_price)
    if draft.expiration_date is None:
        yield Fault("ERR_POS_021", "Expiration Date", row.expiration_date)
    if draft.option_type not in SUBTYPES["OPTIONS"]:
        yield Fault("ERR_POS_022", "Option Type", row.option_type)


def _draft(row: Row) -> Draft:
    symbol, subtype = row.symbol.upper(), row.investment_subtype.upper()
    kind = _class_of(row, symbol)
    underlying, strike, expiration, option_type = _terms(row, symbol) if kind == "OPTIONS" else NO_TERMS
    return Draft(
        symbol,
        number(row.quantity),
        number(row.entry_price),
        day(row.entry_date),
        kind,
        ALIASES.get(subtype, subtype) or None,
        underlying,
        strike,
        expiration,
        option_type,
        day(row.exit_date) if row.exit_date else None,
        number(row.exit_price) if row.exit_price else None,
    )


def _class_of(row: Row, symbol: str) -> str:
    """Class as stated, else as the symbol and the option columns tell; a subtype tells nothing."""
    if row.investment_class:
        return row.investment_class.upper()
    if row.underlying_symbol or row.strike_price or row.expiration_date or OCC_SYMBOL.fullmatch(symbol):
        return "OPTIONS"
    return "PRIVATE" if symbol.startswith(CASH_PREFIX) else "PUBLIC"


def _terms(row: Row, symbol: str) -> Terms:
    """Terms from the symbol where the row states no class and has an OCC symbol, else from the columns."""
    spelled = None if row.investment_class else OCC_SYMBOL.fullmatch(symbol)
    if spelled is None:
        underlying, option_type = row.underlying_symbol.upper(), row.option_type.upper()
        return underlying, number(row.strike_price), day(row.expiration_date), option_type
    root, yymmdd, letter, thousandths = spelled.groups()
    expiration = day(f"20{yymmdd[:2]}-{yymmdd[2:4]}-{yymmdd[4:]}")
    return root, Decimal(thousandths) / 1000, expiration, "CALL" if letter == "C" else "PUT"


def _named(draft: Draft) -> Draft:
    """Give an option without faults the symbol that its terms spell."""
    terms = (draft.underlying_symbol, draft.expiration_date, draft.option_type, draft.strike_price)
    return draft._replace(symbol=occ_symbol(*terms))  # type: ignore[arg-type] # none of them is None
