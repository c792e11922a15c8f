"""Statements of a claim: tasks on offer go to a worker, each to one."""

import operator
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, exists, func, or_, select, true, update

from lazyengine.core.graph import Key
from lazyengine.core.state import ATTEMPTED_TASK_STATES, QUESTIONS, WHOLE, TaskState
from lazyengine.db import tables as t
from lazyengine.db.locks import lock_name
from lazyengine.db.rows import node_of
from lazyengine.db.store import named
from lazyengine.records import Assignment, Claim, seconds_left

_mark = t.mark.c
_whole = t.mark.alias("whole")
"""The run of an item; of a run, itself."""
RUN = (_mark.execution_id, _mark.node_id, _mark.iteration)
KEY = (_mark.execution_id, _mark.node_id, _mark.iteration, _mark.item)
SHOWN = (_mark.attempt, _mark.started_at, _mark.lease_expires_at, _mark.input)
MOST_TERMS = 200
"""Keys in one statement: SQLite lets an expression be 1,000 deep."""
MANY = 100
"""Offers that a claim looks at on MariaDB beside twice those that it wants: others may be taking the first ones."""

TAKE = (
    update(t.mark)
    .where(*(column == bindparam("of_" + column.name) for column in KEY))
    .values(
        offered_at=None,
        claimed_by=bindparam("worker"),
        claim_key=bindparam("key"),
        lease_expires_at=bindparam("until"),
    )
)


def claim_tasks(connection: Connection, owner: str | None, claim: Claim, now: datetime) -> tuple[Assignment, ...]:
    """Give the tasks that have been on offer longest to a worker; a repeated `claim.key` gives the same ones again.

    :param owner: whose tasks; None is all owners'
    """
    keys: Sequence[Any] = ()
    if claim.key is not None:
        lock_name(connection, "claim", owner or "", claim.worker, claim.key)
        keys = _taken_before(connection, owner, claim)
    if not keys:
        keys = lock_oldest(connection, owner, claim, now)
        _take(connection, claim, keys, now)
    return _assignments(connection, keys, now)


def _taken_before(connection: Connection, owner: str | None, claim: Claim) -> Sequence[Any]:
    """Served by the index (claim_key)."""
    return connection.execute(
        select(*KEY).where(_mark.claim_key == claim.key, _mark.claimed_by == claim.worker, _owned_by(owner))
    ).all()


def anything_to_claim(connection: Connection, owner: str | None, claim: Claim, now: datetime) -> bool:
    """Look whether a claim would get anything, without locking: workers that wait ask this most of the time."""
    if claim.key is not None and _taken_before(connection, owner, claim):
        return True
    return connection.execute(offers(owner, claim, now).limit(1)).first() is not None


def lock_oldest(connection: Connection, owner: str | None, claim: Claim, now: datetime) -> Sequence[Any]:
    """Lock what has been on offer longest, up to the limit of the claim.

    Rows that another claim, a dispatcher or a completion holds at this moment are passed over (SKIP LOCKED), so none
    waits for another; SQLite has one writer at a time and needs none of it.
    """
    oldest = offers(owner, claim, now).order_by(_mark.offered_at)
    if connection.dialect.name == "mysql":
        found = connection.execute(oldest.limit(2 * claim.limit + MANY)).all()
        return _lock_in_turn(connection, claim.limit, found, now)
    return connection.execute(oldest.limit(claim.limit).with_for_update(skip_locked=True)).all()


def _lock_in_turn(connection: Connection, limit: int, found: Sequence[Any], now: datetime) -> list[Any]:
    """Lock up to `limit` of the rows found: MariaDB would lock all that it sorts, and others would get none of them."""
    locked: list[Any] = []
    at = 0
    while len(locked) < limit and at < len(found):
        some = found[at : at + min(limit - len(locked), MOST_TERMS)]
        at += len(some)
        terms = or_(*(and_(*map(operator.eq, KEY, key)) for key in some))
        statement = select(*KEY).where(terms, _mark.offered_at <= now).with_for_update(skip_locked=True)
        locked += connection.execute(statement).all()
    return locked


def offers(owner: str | None, claim: Claim, now: datetime) -> Select[Any]:
    """Served by the index (target, offered_at), which holds only what is on offer, or will be."""
    statement = select(*KEY).where(_mark.target.in_(claim.targets), _mark.offered_at <= now, _owned_by(owner))
    return statement if claim.actions is None else statement.where(_mark.action.in_(claim.actions))


def _owned_by(owner: str | None) -> Any:
    if owner is None:
        return true()
    return exists().where(t.execution.c.id == _mark.execution_id, t.execution.c.owner == owner)


def _take(connection: Connection, claim: Claim, keys: Sequence[Any], now: datetime) -> None:
    if not keys:
        return
    lease = {"worker": claim.worker, "key": claim.key, "until": now + timedelta(seconds=claim.lease_seconds)}
    connection.execute(TAKE, [{f"of_{name}": value for name, value in key._mapping.items()} | lease for key in keys])


def _assignments(connection: Connection, keys: Sequence[Any], now: datetime) -> tuple[Assignment, ...]:
    return tuple(assignment_of(row, now) for row in rows_handed_out(connection, keys))


def rows_handed_out(connection: Connection, keys: Sequence[Any]) -> list[Any]:
    """Read what whoever runs them has to know of those that are still theirs, the oldest first; by the primary keys.

    Each key is a term of its own: SQLite would read the whole table for a list of row values.
    """
    rows: list[Any] = []
    for at in range(0, len(keys), MOST_TERMS):
        terms = [and_(*map(operator.eq, KEY, key)) for key in keys[at : at + MOST_TERMS]]
        rows += connection.execute(
            select(
                t.node,
                *KEY,
                _mark.attempt,
                _mark.state,
                _mark.started_at,
                _mark.lease_expires_at,
                _mark.input,
                _mark.action,
                _mark.target,
                func.coalesce(_mark.deadline_at, _whole.c.deadline_at).label("deadline_at"),
                _mark.sends,
                _mark.unsent_since,
                t.execution.c.owner,
                t.execution.c.traceparent,
                t.execution.c.flow,
                t.execution.c.created_at.label("execution_created_at"),
            )
            .select_from(t.mark)
            .join(t.execution, t.execution.c.id == _mark.execution_id)
            .join(t.node, and_(t.node.c.graph_id == t.execution.c.graph_id, t.node.c.id == _mark.node_id))
            .join(_whole, and_(*map(operator.eq, RUN, (*_whole.primary_key,)[:3]), _whole.c.item == WHOLE))
            .where(or_(*terms), _mark.state.in_(ATTEMPTED_TASK_STATES))
        )
    rows.sort(key=operator.attrgetter("started_at", *(column.name for column in KEY)))
    return rows


def assignment_of(row: Any, now: datetime) -> Assignment:
    """Make of such a row what is told to whoever runs it."""
    node = node_of(row)
    return Assignment(
        execution_id=row.execution_id,
        task=node.name,
        iteration=row.iteration,
        attempt=row.attempt,
        item=None if row.item == WHOLE else row.item,
        action=None if row.action == "std.async_noop" else row.action,
        target=row.target,
        timeout_seconds=seconds_left(row.deadline_at, now),
        deadline_at=row.deadline_at,
        input=row.input or (node.input if isinstance(node.input, dict) else {}),
        traceparent=row.traceparent,
        lease_expires_at=row.lease_expires_at,
        reverts=row.state == TaskState.REVERTING,
        asks=QUESTIONS.get(row.state),
        flow=row.flow,
        execution_created_at=row.execution_created_at,
    )


def hold(connection: Connection, execution_id: str, key: Key, attempt: int, worker: str, until: datetime) -> bool:
    """Give one attempt to a worker, if it is still on offer."""
    where = (*named(execution_id, key), _mark.attempt == attempt, _mark.offered_at.is_not(None))
    values = {"offered_at": None, "claimed_by": worker, "claim_key": None, "lease_expires_at": until}
    return bool(connection.execute(update(t.mark).where(*where).values(**values)).rowcount)


def renew(connection: Connection, execution_id: str, key: Key, attempt: int, worker: str, until: datetime) -> None:
    """Let a worker hold an attempt for longer, if it still does."""
    where = _held_by(worker, execution_id, key, attempt)
    connection.execute(update(t.mark).where(*where).values(lease_expires_at=until))


def let_go(
    connection: Connection, execution_id: str, key: Key, attempt: int, worker: str, offered_at: datetime | None
) -> None:
    """Take an attempt from a worker, if it still holds it; put it on offer again, or leave it to be completed."""
    where = _held_by(worker, execution_id, key, attempt)
    values = {"offered_at": offered_at, "claimed_by": None, "claim_key": None, "lease_expires_at": None}
    connection.execute(update(t.mark).where(*where).values(**values))


def _held_by(worker: str, execution_id: str, key: Key, attempt: int) -> tuple[Any, ...]:
    is_under_way = _mark.state.in_(ATTEMPTED_TASK_STATES)
    return (*named(execution_id, key), _mark.attempt == attempt, _mark.claimed_by == worker, is_under_way)
