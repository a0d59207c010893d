"""Quantities and money at rest: decimals as integers of a millionth; imports sqlalchemy."""

from decimal import Decimal

import sqlalchemy as sa

from storage.errors import Refused

PLACES = 6
UNITS = Decimal(10**PLACES)
LARGEST = Decimal(2**63 - 1) / UNITS


class Micros(sa.TypeDecorator[Decimal]):
    """A decimal of at most six places, kept exactly as a 64-bit integer; ``Refused`` for any other."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        """Return the millionths of a decimal."""
        return None if value is None else _millionths(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> Decimal | None:  # noqa: ARG002
        """Return the decimal of a number of millionths, without trailing zeros."""
        return None if value is None else value / UNITS


def _millionths(value: Decimal) -> int:
    if not value.is_finite():
        raise Refused(f"{value} is not a number; give a decimal")
    if abs(value) > LARGEST:
        raise Refused(f"{value} is too large; the ledger holds at most {LARGEST:,}")
    scaled = value * UNITS
    millionths = int(scaled)
    if millionths != scaled or scaled / UNITS != value:  # the second: the product was rounded to 28 digits
        raise Refused(f"{value} has more than {PLACES} decimals; round it first")
    return millionths
