"""Statements of a dispatcher: what is on offer to a target is taken, sent, and given away or put on offer again.

What a dispatcher has taken is `claimed_by` it until `resend_at`, which is no lease: when it has died, the same attempt
is on offer again then (`take_up`).  So an attempt is sent twice only after a death.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, exists, func, literal_column, null, or_, select, update

from lazyengine.core.state import ATTEMPTED_TASK_STATES, ExecutionState
from lazyengine.db import tables as t
from lazyengine.db.claims import KEY, take_oldest
from lazyengine.db.store import Store
from lazyengine.records import Claim, Errand

_mark = t.mark.c
CLAIMER = "dispatch:"
"""How `claimed_by` begins while a dispatcher holds a task."""

_named = [column == bindparam("of_" + column.name) for column in KEY]
_taken = and_(*_named, _mark.attempt == bindparam("of_attempt"), _mark.claimed_by == bindparam("of_dispatcher"))
_may_run = and_(
    or_(*(_mark.state == literal_column(f"'{state}'") for state in sorted(ATTEMPTED_TASK_STATES))),  # many at once
    exists().where(t.execution.c.id == _mark.execution_id, t.execution.c.state != ExecutionState.CANCELLED.value),
)
_is_unheard = _mark.lease_expires_at.is_(None)
# Who has it may have said so already: that lease stands.  MySQL assigns from left to right.
GIVE = (
    update(t.mark)
    .where(_taken)
    .ordered_values(
        (_mark.claimed_by, case((_is_unheard, bindparam("holder", type_=_mark.claimed_by.type)), else_="")),
        (
            _mark.lease_expires_at,
            case((_is_unheard, bindparam("until", type_=_mark.lease_expires_at.type)), else_=_mark.lease_expires_at),
        ),
        (_mark.resend_at, null()),
        (_mark.sends, null()),
        (_mark.unsent_since, null()),
    )
)
PUT_BACK = (
    update(t.mark)
    .where(_taken)
    .values(
        claimed_by=None,
        lease_expires_at=None,
        resend_at=None,
        sends=bindparam("failed"),
        unsent_since=func.coalesce(_mark.unsent_since, bindparam("since", type_=_mark.unsent_since.type)),
        offered_at=case((_may_run, bindparam("again", type_=_mark.offered_at.type)), else_=null()),
    )
)


def next_offer(connection: Connection, target: str) -> datetime | None:
    """Tell when something is on offer to a target, or was first; served by the index (target, offered_at)."""
    statement = select(_mark.offered_at).where(_mark.target == target, _mark.offered_at.is_not(None))
    found: datetime | None = connection.execute(statement.order_by(_mark.offered_at).limit(1)).scalar()
    return found


def take(store: Store, target: str, dispatcher: str, limit: int, now: datetime, until: datetime) -> tuple[Errand, ...]:
    """Take up to `limit` tasks that have been on offer to a target longest, whoever owns them, until `until`."""
    found = take_oldest(store, None, Claim(dispatcher, (target,), limit=limit), now, resend_at=until)
    return tuple(
        Errand(owner, (row.node_id, row.iteration, row.item), assignment, row.sends or 0, row.unsent_since)
        for row, owner, assignment in found
    )


def give(
    connection: Connection, errands: Iterable[Errand], dispatcher: str, holder: str | None, until: datetime | None
) -> None:
    """Note that tasks were sent: `holder` has them until `until`; None is nobody in particular, without an end."""
    rows = [_of_errand(errand, dispatcher) | {"holder": holder, "until": until} for errand in errands]
    if rows:
        connection.execute(GIVE, rows)


def put_back(
    connection: Connection, errands: Iterable[Errand], dispatcher: str, now: datetime, since: datetime | None
) -> None:
    """Put tasks on offer again that were not tried.

    :param since: when it was seen that they could not be sent either; None if nobody knows
    """
    rows = [
        _of_errand(errand, dispatcher) | {"again": now, "failed": errand.sends or None, "since": since}
        for errand in errands
    ]
    if rows:
        connection.execute(PUT_BACK, rows)


def not_sent(connection: Connection, errand: Errand, dispatcher: str, now: datetime, again: datetime) -> None:
    """Note that a task could not be sent, and put it on offer again from a time on."""
    row = _of_errand(errand, dispatcher) | {"again": again, "failed": errand.sends + 1, "since": now}
    connection.execute(PUT_BACK, [row])


def anything_lost(connection: Connection, now: datetime) -> bool:
    """Look whether `take_up` would find anything, without locking."""
    return connection.execute(select(_mark.node_id).where(_mark.resend_at <= now).limit(1)).first() is not None


def take_up(connection: Connection, now: datetime, dispatcher: str | None = None) -> int:
    """Put on offer again what dispatchers that died had taken, as the same attempt; return how much that was.

    Served by the index (resend_at), which holds only what is being sent.

    :param dispatcher: what this one has taken, in the place of what is overdue
    """
    is_lost = _mark.resend_at <= now
    if dispatcher is not None:
        is_lost = and_(_mark.resend_at.is_not(None), _mark.claimed_by == dispatcher)
    is_sent = _mark.claimed_by.like(CLAIMER + "%")
    return connection.execute(
        update(t.mark)
        .where(is_lost)
        .ordered_values(  # MySQL assigns from left to right
            (_mark.offered_at, case((and_(is_sent, _may_run), now), else_=_mark.offered_at)),
            (_mark.lease_expires_at, case((is_sent, null()), else_=_mark.lease_expires_at)),
            (_mark.resend_at, null()),
            (_mark.claimed_by, case((is_sent, null()), else_=_mark.claimed_by)),
        )
    ).rowcount


def _of_errand(errand: Errand, dispatcher: str) -> dict[str, Any]:
    key = (errand.assignment.execution_id, *errand.key)
    names = dict(zip((column.name for column in KEY), key, strict=True))
    guard = {"of_attempt": errand.assignment.attempt, "of_dispatcher": dispatcher}
    return {f"of_{name}": value for name, value in names.items()} | guard
