"""Codes of symbols in a column; imports numpy and polars."""

from collections.abc import Mapping

import polars as pl

from engine.typing import IntArray


def codes_of(symbols: pl.Series, codes: Mapping[str, int]) -> IntArray:
    """Return the code of each symbol ``(n,)``, -1 for one without, for a null too.

    Of an ``Enum`` each name is looked up once, which is far sooner done where the rows are many.
    """
    if isinstance(symbols.dtype, pl.Enum):
        found = codes_of(symbols.dtype.categories, codes)
        place = symbols.to_physical().cast(pl.Int64).fill_null(len(found))
        return pl.Series([*found.tolist(), -1], dtype=pl.Int64).gather(place).to_numpy(writable=True)
    return symbols.replace_strict(dict(codes), default=-1, return_dtype=pl.Int64).to_numpy(writable=True)
