"""Statements of a rerun; those of what follows from it are those of every decision."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from lazyengine.core.graph import Key
from lazyengine.core.state import ATTEMPTED_TASK_STATES, WHOLE, ExecutionState, Mark, TaskState
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


def count_asleep(connection: Connection, execution_id: str, key: Key) -> int:
    """Return how many executions are suspended that do the work of items of a run; served by the index (parent_id)."""
    e = t.execution.c
    works_for = and_(e.parent_id == _mark.execution_id, e.parent_attempt == _mark.attempt)
    where = (e.parent_id == execution_id, e.parent_node == key[0], e.parent_iteration == key[1])
    same = (_mark.node_id == e.parent_node, _mark.iteration == e.parent_iteration, _mark.item == e.parent_item)
    statement = select(func.count()).select_from(t.execution.join(t.mark, and_(works_for, *same)))
    under_way = (e.state == ExecutionState.SUSPENDED, _mark.state == TaskState.RUNNING)
    found: int = connection.execute(statement.where(*where, *under_way)).scalar_one()
    return found


def read_last(connection: Connection, execution_id: str) -> list[Key]:
    """Return the runs whose variables are among those of the end."""
    statement = select(_mark.node_id, _mark.iteration).where(_mark.execution_id == execution_id, _mark.last == 1)
    return [(row.node_id, row.iteration) for row in connection.execute(statement)]


def read_stalled(connection: Connection, execution_id: str) -> dict[Key, Mark]:
    """Return the runs that are delayed and wait for nothing: their time came when the execution was over."""
    rows = connection.execute(
        select(*SMALL_MARK).where(
            _mark.execution_id == execution_id,
            _mark.state == TaskState.DELAYED,
            _mark.due_at.is_(None),
            _mark.place.is_(None),
        )
    )
    return {mark.key: mark for mark in map(mark_of, rows)}


def offer_again(connection: Connection, execution_id: str, key: Key | None, now: datetime) -> None:
    """Put on offer what somebody has to work on and nobody does: a cancellation took it off.

    :param key: a run that is about to go on
    """
    rows: list[Any] = connection.execute(  # type: ignore[assignment]
        select(*SMALL_MARK)
        .where(_mark.execution_id == execution_id, _mark.state.in_(ATTEMPTED_TASK_STATES))
        .order_by(_mark.node_id, _mark.iteration, _mark.item)
    ).all()
    running = {(row.node_id, row.iteration) for row in rows if row.item == WHOLE} | {key}
    for row in rows:
        held = (
            row.offered_at is not None
            or row.claimed_by is not None
            or row.child_id is not None
            or row.intent is not None
        )
        is_work = row.item != WHOLE or not row.item_counts
        if is_work and not held and (row.node_id, row.iteration) in running:
            connection.execute(update(t.mark).where(*named(execution_id, mark_of(row).key)).values(offered_at=now))
