"""Statements of a claim: tasks on offer go to a worker, each to one."""

import operator
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, case, func, null, or_, select, true, union_all, update

from lazyengine.core.graph import Key, Node
from lazyengine.core.state import ATTEMPTED_TASK_STATES, QUESTIONS, WHOLE, TaskState
from lazyengine.db import tables as t
from lazyengine.db.direct import Direct, batches, of_row
from lazyengine.db.locks import lock_name
from lazyengine.db.store import Store, named
from lazyengine.records import Assignment, Claim, seconds_left

_mark = t.mark.c
_execution = t.execution.c
_whole = t.mark.alias("whole").c
KEY = (_mark.execution_id, _mark.node_id, _mark.iteration, _mark.item)
MOST_TERMS = 200
"""Keys in one statement: SQLite lets an expression be 1,000 deep."""
MANY = 100
"""Offers that are looked at beside twice those that are wanted, where others may be taking the first ones."""

# What stands in another row is read by a subquery that has its primary key.  A join would leave the database to choose
# where to begin, and PostgreSQL begins with every execution while it has not counted any yet.
_deadline_of_run = (
    select(_whole.deadline_at)
    .where(_whole.execution_id == _mark.execution_id, _whole.node_id == _mark.node_id)
    .where(_whole.iteration == _mark.iteration, _whole.item == WHOLE)
    .scalar_subquery()
)
_owner = select(_execution.owner).where(_execution.id == _mark.execution_id).scalar_subquery()
OF_TASK = (
    *KEY, _mark.attempt, _mark.state, _mark.started_at, _mark.lease_expires_at, _mark.input, _mark.action, _mark.target,
    case((_mark.item == WHOLE, _mark.deadline_at), else_=func.coalesce(_mark.deadline_at, _deadline_of_run)).label(
        "deadline_at"
    ),
    _mark.sends, _mark.unsent_since,
)  # fmt: skip
"""What whoever runs a task has to know of it."""
OF_EXECUTION = (
    _execution.id, _execution.graph_id, _execution.owner, _execution.traceparent, _execution.flow,
    _execution.created_at,
)  # fmt: skip

_TAKEN = ("claimed_by", "claim_key", "lease_expires_at", "resend_at")
TAKE = Direct(
    update(t.mark)
    .where(*(column == bindparam(of_row(column.name, 1), type_=column.type) for column in KEY))
    .values(offered_at=null(), **{name: bindparam(name, type_=_mark[name].type) for name in _TAKEN})
)


class HandedOut(NamedTuple):
    """A task that somebody has taken.

    :param row: its OF_TASK
    """

    row: Any
    owner: str
    assignment: Assignment


def claim_tasks(store: Store, owner: str | None, claim: Claim, now: datetime) -> tuple[Assignment, ...]:
    """Give the tasks that have been on offer longest to a worker; a repeated `claim.key` gives the same ones again.

    :param owner: whose tasks; None is all owners'
    """
    before: Sequence[Any] = ()
    if claim.key is not None:
        lock_name(store.connection, "claim", owner or "", claim.worker, claim.key)
        before = store.connection.execute(_taken_before(owner, claim)).all()
    if before:
        found = _handed_out(store, [row for row in before if row.state in ATTEMPTED_TASK_STATES], now)
    else:
        until = now + timedelta(seconds=claim.lease_seconds)
        found = take_oldest(store, owner, claim, now, lease_expires_at=until)
    return tuple(one.assignment for one in found)


def take_oldest(
    store: Store,
    owner: str | None,
    claim: Claim,
    now: datetime,
    lease_expires_at: datetime | None = None,
    resend_at: datetime | None = None,
) -> list[HandedOut]:
    """Take what has been on offer longest, up to the limit of a claim, for its worker; the longest begun come first."""
    rows = lock_oldest(store.connection, owner, claim, now)
    taken = dict(zip(_TAKEN, (claim.worker, claim.key, lease_expires_at, resend_at), strict=True))
    TAKE.run_many(store.connection, taken, ({column.name: getattr(row, column.name) for column in KEY} for row in rows))
    found = _handed_out(store, rows, now)
    return [one._replace(assignment=replace(one.assignment, lease_expires_at=lease_expires_at)) for one in found]


def _taken_before(owner: str | None, claim: Claim) -> Select[Any]:
    """Served by the index (claim_key)."""
    is_theirs = (_mark.claim_key == claim.key, _mark.claimed_by == claim.worker)
    return select(*OF_TASK).where(*is_theirs, _owned_by(owner))


def anything_to_claim(connection: Connection, owner: str | None, claim: Claim, now: datetime) -> bool:
    """Look whether a claim would get anything, without locking: workers that wait ask this most of the time."""
    if claim.key is not None and connection.execute(_taken_before(owner, claim).limit(1)).first():
        return True
    return connection.execute(offers(owner, claim, now).limit(1)).first() is not None


def lock_oldest(connection: Connection, owner: str | None, claim: Claim, now: datetime) -> Sequence[Any]:
    """Lock what has been on offer longest, up to the limit of the claim; return its OF_TASK.

    Rows that another claim, a dispatcher or a completion holds at this moment are passed over (SKIP LOCKED), so none
    waits for another; SQLite has one writer at a time and needs none of it.
    """
    if len(claim.targets) == 1 and connection.dialect.name != "mysql":
        oldest = _oldest(owner, claim, now, claim.limit)
        return connection.execute(oldest.with_for_update(skip_locked=True)).all()
    found = connection.execute(_oldest_of_all(owner, claim, now, 2 * claim.limit + MANY)).all()
    return _lock_in_turn(connection, claim.limit, found, now)


def _lock_in_turn(connection: Connection, limit: int, found: Sequence[Any], now: datetime) -> list[Any]:
    """Lock up to `limit` of the rows found: MariaDB would lock all that it sorts, and others would get none of them."""
    locked: list[Any] = []
    at = 0
    while len(locked) < limit and at < len(found):
        some = found[at : at + min(limit - len(locked), MOST_TERMS)]
        at += len(some)
        terms = or_(*(and_(*map(operator.eq, KEY, key)) for key in some))
        statement = select(*OF_TASK).where(terms, _mark.offered_at <= now).with_for_update(skip_locked=True)
        locked += connection.execute(statement).all()
    return locked


def _oldest(owner: str | None, claim: Claim, now: datetime, limit: int) -> Select[Any]:
    return offers(owner, claim, now, OF_TASK).order_by(_mark.offered_at).limit(limit)


def _oldest_of_all(owner: str | None, claim: Claim, now: datetime, limit: int) -> Select[Any]:
    """The oldest of each target by itself, then of these: the index has no order over several targets."""
    each = [
        offers(owner, replace(claim, targets=(target,)), now, (*KEY, _mark.offered_at))
        .order_by(_mark.offered_at)
        .limit(limit)
        .subquery()
        for target in dict.fromkeys(claim.targets)
    ]
    found = union_all(*(select(one) for one in each)).subquery()
    return select(*(found.c[column.name] for column in KEY)).order_by(found.c.offered_at).limit(limit)


def offers(owner: str | None, claim: Claim, now: datetime, columns: Sequence[Any] = KEY) -> Select[Any]:
    """Served by the index (target, offered_at), which holds only what is on offer, or will be."""
    statement = select(*columns).where(_mark.target.in_(claim.targets), _mark.offered_at <= now, _owned_by(owner))
    return statement if claim.actions is None else statement.where(_mark.action.in_(claim.actions))


def _owned_by(owner: str | None) -> Any:
    return true() if owner is None else _owner == owner


def _handed_out(store: Store, rows: Sequence[Any], now: datetime) -> list[HandedOut]:
    """Read what else there is to know of rows of OF_TASK."""
    executions = {
        one.id: one
        for batch in batches({row.execution_id for row in rows})
        for one in store.connection.execute(select(*OF_EXECUTION).where(_execution.id.in_(batch)))
    }
    wanted: dict[int, set[int]] = {}
    for row in rows:
        wanted.setdefault(executions[row.execution_id].graph_id, set()).add(row.node_id)
    nodes = {graph_id: store.nodes(graph_id, ids) for graph_id, ids in wanted.items()}
    found = []
    for row in sorted(rows, key=operator.attrgetter("started_at", *(column.name for column in KEY))):
        execution = executions[row.execution_id]
        node = nodes[execution.graph_id][row.node_id]
        found.append(HandedOut(row, execution.owner, _assignment(row, execution, node, now)))
    return found


def _assignment(row: Any, execution: Any, node: Node, now: datetime) -> Assignment:
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
        traceparent=execution.traceparent,
        lease_expires_at=row.lease_expires_at,
        reverts=row.state == TaskState.REVERTING,
        asks=QUESTIONS.get(row.state),
        flow=execution.flow,
        execution_created_at=execution.created_at,
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
