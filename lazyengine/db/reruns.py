"""Statements of a rerun; those of what follows from it are those of every decision."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from lazyengine.core.graph import Key
from lazyengine.core.state import WHOLE, Mark, TaskState
from lazyengine.db import tables as t
from lazyengine.db.rows import mark_of
from lazyengine.db.statements import SMALL_MARK
from lazyengine.db.store import named

_mark = t.mark.c


def read_item_marks(connection: Connection, execution_id: str, key: Key) -> dict[Key, Mark]:
    """Return the marks of the items of a run."""
    rows = connection.execute(
        select(*SMALL_MARK).where(
            _mark.execution_id == execution_id,
            _mark.node_id == key[0],
            _mark.iteration == key[1],
            _mark.item != WHOLE,
        )
    )
    return {mark.key: mark for mark in map(mark_of, rows)}


def read_last(connection: Connection, execution_id: str) -> list[Key]:
    """Return the runs whose variables are among those of the end."""
    statement = select(_mark.node_id, _mark.iteration).where(_mark.execution_id == execution_id, _mark.last == 1)
    return [(row.node_id, row.iteration) for row in connection.execute(statement)]


def revive(connection: Connection, execution_id: str, now: datetime) -> None:
    """Let go on what stood still since the execution ended: put on offer what nobody holds, end what was delayed."""
    connection.execute(
        update(t.mark)
        .where(
            _mark.execution_id == execution_id,
            _mark.state == TaskState.DELAYED,
            _mark.due_at.is_(None),
            _mark.place.is_(None),
        )
        .values(due_at=now, alarm_at=now)
    )
    for key in _unheld(connection, execution_id):
        connection.execute(update(t.mark).where(*named(execution_id, key)).values(offered_at=now))


def _unheld(connection: Connection, execution_id: str) -> list[Key]:
    """Return the runs and the items that somebody has to work on and nobody does, in the order of their keys."""
    rows: list[Any] = connection.execute(  # type: ignore[assignment]
        select(*SMALL_MARK)
        .where(_mark.execution_id == execution_id, _mark.state == TaskState.RUNNING)
        .order_by(_mark.node_id, _mark.iteration, _mark.item)
    ).all()
    running = {(row.node_id, row.iteration) for row in rows if row.item == WHOLE}
    return [
        mark_of(row).key
        for row in rows
        if (row.node_id, row.iteration) in running
        and row.offered_at is None
        and row.claimed_by is None
        and row.child_id is None
        and (row.item != WHOLE or not row.item_counts)
    ]
