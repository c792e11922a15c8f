"""What other executions left in the tables, so that reading one whole would be a bad plan."""

from datetime import UTC, datetime
from typing import Any

from driving import OWNER, new_id
from sqlalchemy import Column, Integer, Table, insert

from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.db.types import Json, UtcDateTime

LONG_AGO = datetime(2030, 1, 1, tzinfo=UTC)


def emptied(database: Database) -> Database:
    with database.engine.begin() as connection:
        for table in reversed(t.metadata.sorted_tables):
            connection.execute(table.delete())
    return database


def add_neighbours(database: Database, count: int, tasks: int = 1, **mark: Any) -> None:
    """Add `count` executions of `tasks` tasks and three history rows each; `mark` holds what their marks have."""
    ids = [new_id() for _ in range(count)]
    with database.engine.begin() as connection:
        graph_id = connection.execute(insert(t.graph).values(digest="-", head={})).inserted_primary_key[0]
        connection.execute(insert(t.node).values(graph_id=graph_id, id=0, name="n", body={}))
        connection.execute(
            insert(t.execution), [_row(t.execution, id=id, owner=OWNER, graph_id=graph_id) for id in ids]
        )
        blank = _row(t.mark, iteration=1, **mark)
        connection.execute(
            insert(t.mark), [blank | {"execution_id": id, "node_id": node} for id in ids for node in range(tasks)]
        )
        connection.execute(
            insert(t.history), [_row(t.history, execution_id=id, number=n) for id in ids for n in (1, 2, 3)]
        )


def _row(table: Table, **values: Any) -> dict[str, Any]:
    """A row with something in every column that needs it."""
    return {column.name: _blank(column) for column in table.c if not column.nullable} | values


def _blank(column: Column[Any]) -> Any:
    if isinstance(column.type, Integer):
        return 0
    if isinstance(column.type, UtcDateTime):
        return LONG_AGO
    return {} if isinstance(column.type, Json) else "-"
