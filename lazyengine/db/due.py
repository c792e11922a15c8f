"""Statements of time: what is due, and the leases of those who work on tasks.

A lease is `mark.lease_expires_at`; nothing locks the execution to write it but the end of the lease.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, update

from lazyengine.core.graph import Key
from lazyengine.core.state import ATTEMPTED_TASK_STATES, WHOLE, Mark
from lazyengine.db import tables as t
from lazyengine.db.store import named

_execution = t.execution.c
_mark = t.mark.c

Due = tuple[datetime, str, str, Key]
"""When it was due, the owner, the execution, and the run (or the item) that it is about."""


def read_alarms(connection: Connection, now: datetime, limit: int, with_flows: bool) -> list[Due]:
    """Return the delays and deadlines that time has come for, the most overdue first; served by the index (alarm_at).

    :param with_flows: of executions of TaskFlow flows, too
    """
    return _read_due(connection, _mark.alarm_at, now, limit, with_flows)


def read_lapsed(connection: Connection, now: datetime, limit: int, with_flows: bool) -> list[Due]:
    """Return the leases that have run out, in the same way; served by the index (lease_expires_at)."""
    return _read_due(connection, _mark.lease_expires_at, now, limit, with_flows)


def _read_due(connection: Connection, moment: Any, now: datetime, limit: int, with_flows: bool) -> list[Due]:
    statement = (
        select(moment.label("moment"), _execution.owner, *t.mark.primary_key)
        .join(t.execution, _execution.id == _mark.execution_id)
        .where(moment <= now)
        .order_by(moment)
        .limit(limit)
    )
    rows = connection.execute(statement if with_flows else statement.where(_execution.flow.is_(None)))
    return [(row.moment, row.owner, row.execution_id, _key(row)) for row in rows]


def _key(row: Any) -> Key:
    run = (row.node_id, row.iteration)
    return run if row.item == WHOLE else (*run, row.item)


def next_due(connection: Connection) -> datetime | None:
    """Return when the next delay, deadline or lease is over; served by the same indexes."""
    moments = (_mark.alarm_at, _mark.lease_expires_at)
    found = [connection.execute(select(func.min(one)).where(one.is_not(None))).scalar_one() for one in moments]
    return min((moment for moment in found if moment is not None), default=None)


def end_lease(connection: Connection, execution_id: str, key: Key, now: datetime) -> bool:
    """End a lease that has run out; False if it was extended meanwhile.

    A heartbeat waits for this transaction then, and finds out what has become of the attempt.
    """
    where = (*named(execution_id, key), _mark.lease_expires_at <= now)
    return bool(connection.execute(update(t.mark).where(*where).values(lease_expires_at=None)).rowcount)


def end_leases_again(connection: Connection, execution_id: str, now: datetime, run: Key | None = None) -> None:
    """Let the leases run out that ended while nobody waited for the tasks any more.

    What a dispatcher is sending has none.

    :param run: only of its items
    """
    is_held = (_mark.claimed_by.is_not(None), _mark.resend_at.is_(None), _mark.state.in_(ATTEMPTED_TASK_STATES))
    where = [_mark.execution_id == execution_id, _mark.lease_expires_at.is_(None), *is_held]
    if run is not None:
        where += [_mark.node_id == run[0], _mark.iteration == run[1], _mark.item != WHOLE]
    connection.execute(update(t.mark).where(*where).values(lease_expires_at=now))


def beat(
    connection: Connection, execution_id: str, mark: Mark, progress: float | None, lease_expires_at: datetime | None
) -> None:
    """Note that whoever works on an attempt is alive.

    What is still on offer is nobody's and gets no lease; what came to a worker without a claim has one then, of a
    worker without a name.
    """
    values: dict[str, Any] = {}
    if progress is not None:
        values["progress"] = progress
    if lease_expires_at is not None:
        is_taken = _mark.offered_at.is_(None)
        values["lease_expires_at"] = case((is_taken, lease_expires_at), else_=_mark.lease_expires_at)
        values["claimed_by"] = case((is_taken, func.coalesce(_mark.claimed_by, "")), else_=_mark.claimed_by)
    if values:
        is_current = (_mark.attempt == mark.attempt, _mark.state.in_(ATTEMPTED_TASK_STATES))
        where = (*named(execution_id, mark.key), *is_current)
        connection.execute(update(t.mark).where(*where).values(**values))
