"""Statements about what waits, for those who watch over the service; none locks anything.

Each reads at most `MOST` entries of an index that holds, or sorts apart, only what waits.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from lazyengine.db import tables as t
from lazyengine.db.statements import CARRY_ON, DEAD_LETTER, NOTIFY, STEER
from lazyengine.records import Backlog, Overdue

_mark, _outbox = t.mark.c, t.outbox.c

MOST = 1_000
"""Where counting ends."""

MOST_TARGETS = 100
"""Targets that are looked at, by name."""


def read_backlog(connection: Connection, now: datetime) -> Backlog:
    """Cost: about eight statements, and two for each target."""

    def oldest(moment: Any, *where: Any) -> Overdue:
        some = select(moment.label("moment")).where(*where).order_by(moment).limit(MOST).subquery()
        return Overdue(*connection.execute(select(func.count(), func.min(some.c.moment)).select_from(some)).one())

    def overdue(moment: Any, *where: Any) -> Overdue:
        return oldest(moment, *where, moment <= now)

    return Backlog(
        outbox={kind: overdue(_outbox.due_at, _outbox.kind == kind) for kind in (NOTIFY, CARRY_ON, STEER)},
        offers={target: overdue(_mark.offered_at, _mark.target == target) for target in _targets(connection)},
        dead_letters=oldest(_outbox.due_at, _outbox.kind == DEAD_LETTER),
        leases=overdue(_mark.lease_expires_at),
        alarms=overdue(_mark.alarm_at),
        sendings=overdue(_mark.resend_at),
    )


def _targets(connection: Connection) -> Iterator[str]:
    """Yield the targets that something is on offer to, in the order of their names.

    Each is found by one step into the index (target, offered_at).  On MariaDB that holds every mark there is, so a
    target that had something on offer once is found too.
    """
    following = select(func.min(_mark.target))
    if connection.dialect.name != "mysql":
        following = following.where(_mark.offered_at.is_not(None))
    target = connection.execute(following).scalar()
    for _ in range(MOST_TARGETS):
        if target is None:
            return
        yield target
        target = connection.execute(following.where(_mark.target > target)).scalar()
