"""The template's columns, and the texts of single cells as values."""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

REQUIRED = ("Symbol", "Quantity", "Entry Price Per Share", "Entry Date")
OPTIONAL = (
    "Investment Class",
    "Investment Subtype",
    "Underlying Symbol",
    "Strike Price",
    "Expiration Date",
    "Option Type",
    "Exit Date",
    "Exit Price Per Share",
)
COLUMNS = (*REQUIRED, *OPTIONAL)

SUBTYPES = {
    "PUBLIC": frozenset({"STOCK", "ETF", "MUTUAL_FUND", "BOND", "CASH"}),
    "OPTIONS": frozenset({"CALL", "PUT"}),
    "PRIVATE": frozenset(
        {
            "PRIVATE_EQUITY",
            "VENTURE_CAPITAL",
            "HEDGE_FUND",
            "PRIVATE_REIT",
            "REAL_ESTATE",
            "CRYPTOCURRENCY",
            "CRYPTO",
            "ART",
            "MONEY_MARKET",
            "TREASURY_BILLS",
            "CASH",
            "COMMODITY",
            "OTHER",
        }
    ),
}
ALIASES = {"CRYPTO": "CRYPTOCURRENCY"}
CASH_PREFIX = "CASH_"

SYMBOL = re.compile(r"[A-Za-z0-9._-]+")
OCC_SYMBOL = re.compile(r"([A-Z]{1,6})(\d{6})([CP])(\d{8})", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
_SHORT = re.compile(r"-?\d{1,12}(?:\.\d{0,8})?", re.ASCII)  # as nearly all are: within every limit
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# Amounts are kept as 64-bit integers of millionths.
LIMIT = 9_000_000_000_000


def number(text: str) -> Decimal | None:
    """Return a plain decimal, None for anything else: no signs of currency, separators, NaN or infinity."""
    if _SHORT.fullmatch(text):
        return Decimal(text)
    if len(text) > 60 or not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    return value if -LIMIT < value < LIMIT else None


def decimals(text: str) -> int:
    """Count the decimals of a plain number as written: 272.100 has three, 1E+7 none."""
    if "e" not in text and "E" not in text:
        return len(text.partition(".")[2])
    exponent = Decimal(text).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@lru_cache(maxsize=4096)
def day(text: str) -> date | None:
    """Return a date YYYY-MM-DD, None for anything else."""
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def occ_root(underlying: str) -> str | None:
    """Return an underlying as an OCC symbol spells it, None for one that it cannot."""
    root = underlying.replace(".", "").replace("-", "")
    return root if re.fullmatch("[A-Z]{1,6}", root) else None


def occ_strike(strike: Decimal) -> str | None:
    """Return a strike as an OCC symbol spells it, None for one that it cannot."""
    thousandths = strike * 1000
    return f"{int(thousandths):08d}" if thousandths % 1 == 0 and 0 < thousandths < 100_000_000 else None


def occ_symbol(underlying: str, expiration: date, option_type: str, strike: Decimal) -> str | None:
    """Spell a contract as the Options Clearing Corporation does; None when it cannot be."""
    root, price = occ_root(underlying), occ_strike(strike)
    return f"{root}{expiration:%y%m%d}{option_type[0]}{price}" if root and price else None
