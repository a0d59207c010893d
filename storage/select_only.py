"""Whether a query does nothing but select, by DuckDB's own parser; imports duckdb."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from storage.errors import InvalidQuery

READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}


def require_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Let one SELECT pass, however written (FROM, VALUES, DESCRIBE), that writes nothing on its way.

    The kind that DuckDB gives a statement is not enough: ``WITH c AS (COPY … TO …) SELECT`` and ``WITH d AS
    (DELETE … RETURNING *) SELECT`` count as SELECT, and what is under WITH is done all the same.

    Raises
    ------
    InvalidQuery
        No statement, several, another kind, or one that does not parse.
    """
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(sql)]
        answer = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    except duckdb.Error as error:
        raise InvalidQuery(str(error)) from error
    for kind in kinds:
        if kind != "SELECT":
            raise _refused(kind)
    if len(kinds) != 1:
        raise InvalidQuery(f"exactly one SELECT is allowed here, not {len(kinds)} statements")
    tree = json.loads(answer)
    if tree["error"]:
        raise InvalidQuery(tree["error_message"])
    for node in _nodes(tree):
        if node not in READING:
            raise _refused(node.split("_")[0])


def _refused(kind: str) -> InvalidQuery:
    return InvalidQuery(f"{kind} is not allowed here; queries of the catalog only select")


def _nodes(tree: Any) -> Iterator[str]:
    """Yield the kind of every query within a parsed statement."""
    if isinstance(tree, dict):
        kind = tree.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE"):
            yield kind
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
