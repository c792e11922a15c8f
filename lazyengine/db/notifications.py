"""Statements about notifications: rows of the outbox that hold what somebody is to be told."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, or_, select, update

from lazyengine.db import tables as t
from lazyengine.db.statements import DEAD_LETTER, NOTIFY
from lazyengine.records import Notification, NotificationQuery, Page

_outbox = t.outbox.c


def next_notification(connection: Connection) -> datetime | None:
    """Tell when something is to be told next; served by the index (kind, due_at)."""
    statement = select(_outbox.due_at).where(_outbox.kind == NOTIFY).order_by(_outbox.due_at).limit(1)
    found: datetime | None = connection.execute(statement).scalar()
    return found


def next_url(connection: Connection, now: datetime, avoid: Sequence[str]) -> str | None:
    """Return the URL of what is due longest, not at a place to be avoided.

    :param avoid: places, as `place_of` names them
    """
    statement = select(_outbox.url).where(_outbox.kind == NOTIFY, _outbox.due_at <= now)
    for place in avoid:
        statement = statement.where(~_at(place))
    found: str | None = connection.execute(statement.order_by(_outbox.due_at).limit(1)).scalar()
    return found


def take_notifications(
    connection: Connection, place: str, limit: int, now: datetime, until: datetime
) -> tuple[Notification, ...]:
    """Take what is due longest at a place; whoever takes it has time until `until`.

    Should it die, what it took is due again then.
    """
    due = select(_outbox.id).where(_outbox.kind == NOTIFY, _outbox.due_at <= now)
    oldest = due.where(_at(place)).order_by(_outbox.due_at).limit(limit)
    if connection.dialect.name == "mysql":  # which would lock all that it sorts
        oldest = due.where(_outbox.id.in_(connection.execute(oldest).scalars().all()))
    ids = connection.execute(oldest.with_for_update(skip_locked=True)).scalars().all()
    if not ids:
        return ()
    connection.execute(update(t.outbox).where(_outbox.id.in_(ids)).values(due_at=until))
    rows = connection.execute(select(t.outbox).where(_outbox.id.in_(ids)).order_by(_outbox.id))
    return tuple(map(_notification, rows))


def place_of(url: str) -> str:
    """Return where a URL leads to, as it begins: its scheme, host and port."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}"


def _at(place: str) -> Any:
    return or_(_outbox.url == place, *(_outbox.url.startswith(place + end, autoescape=True) for end in "/?#"))


def told(connection: Connection, one: Notification) -> None:
    """Forget a notification that was delivered."""
    connection.execute(delete(t.outbox).where(_outbox.id == one.id))


def not_told(connection: Connection, one: Notification, error: str, due_at: datetime, gives_up: bool) -> None:
    """Note that a notification could not be delivered, and when to try again, or that nobody will."""
    values = {"tries": one.tries + 1, "error": error, "due_at": due_at, "kind": DEAD_LETTER if gives_up else NOTIFY}
    connection.execute(update(t.outbox).where(_outbox.id == one.id).values(**values))


def release(connection: Connection, some: Sequence[Notification], now: datetime) -> None:
    """Give back what was taken and not tried."""
    ids = [one.id for one in some]
    connection.execute(update(t.outbox).where(_outbox.id.in_(ids), _outbox.kind == NOTIFY).values(due_at=now))


def list_notifications(connection: Connection, owner: str, query: NotificationQuery) -> Page[Notification]:
    """Return one page, the oldest first; served by the index (kind, due_at), and the primary key of executions."""
    kinds = [kind for kind, dead in ((NOTIFY, False), (DEAD_LETTER, True)) if query.is_dead in (None, dead)]
    statement = _owned(owner).where(_outbox.kind.in_(kinds))
    if query.marker is not None:
        statement = statement.where(_outbox.id > query.marker)
    rows = connection.execute(statement.order_by(_outbox.id).limit(query.limit + 1)).all()
    return Page(tuple(map(_notification, rows[: query.limit])), len(rows) > query.limit)


def replay_notification(connection: Connection, owner: str, id: int, now: datetime) -> Notification | None:
    """Make a notification due, as if it were new; None if there is none."""
    statement = _owned(owner).where(_outbox.id == id, _outbox.kind.in_((NOTIFY, DEAD_LETTER)))
    if connection.execute(statement).first() is None:
        return None
    connection.execute(update(t.outbox).where(_outbox.id == id).values(kind=NOTIFY, due_at=now, created_at=now))
    return _notification(connection.execute(statement).one())


def _owned(owner: str) -> Select[Any]:
    return (
        select(t.outbox).join(t.execution, t.execution.c.id == _outbox.execution_id).where(t.execution.c.owner == owner)
    )


def _notification(row: Any) -> Notification:
    return Notification(
        id=row.id,
        execution_id=row.execution_id,
        url=row.url,
        body=row.body,
        created_at=row.created_at,
        due_at=row.due_at,
        tries=row.tries,
        error=row.error,
        is_dead=row.kind == DEAD_LETTER,
    )
