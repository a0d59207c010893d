"""What a lake table is made of; imports polars alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import polars as pl

DType: TypeAlias = type[pl.DataType]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its polars type, and what it means in units that an analyst can use."""

    name: str
    dtype: DType
    comment: str


@dataclass(frozen=True)
class Table:
    """The contract of one lake table.

    Attributes
    ----------
    layer : str
        The layer that publishes it: every release of the layer names a version of the table.
    key : tuple of str
        Columns that identify a row: never null, unique, and the order of rows within a file.
    date : str
        The key column that says when: what ``sessions=`` ranges over, and what the periods are cut by.
    """

    name: str
    layer: str
    key: tuple[str, ...]
    date: str
    columns: tuple[Column, ...]
    comment: str

    @cached_property
    def dtypes(self) -> dict[str, DType]:
        """Type of each column, in order."""
        return {column.name: column.dtype for column in self.columns}

    @cached_property
    def schema(self) -> pl.Schema:
        """The columns as polars has them."""
        return pl.Schema(self.dtypes)

    @property
    def by_symbol(self) -> bool:
        """Whether rows belong to a symbol."""
        return "symbol" in self.key
