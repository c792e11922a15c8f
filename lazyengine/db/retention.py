"""Statements that delete executions some time after their end."""

from datetime import datetime

from sqlalchemy import Connection, delete, exists, select

from lazyengine.db import tables as t
from lazyengine.db.direct import batches
from lazyengine.db.statements import NOTIFY

_execution = t.execution.c
_below = t.execution.alias("below")


def purge_executions(connection: Connection, ended_before: datetime, limit: int) -> int:
    """Delete up to `limit` executions that ended before a time, the oldest first, with all below them; return how many.

    Those that somebody works on at this moment are passed over, and so are those that somebody is still to be told of,
    or whose end has not reached all below them.  What they have run, the graphs, stays.

    Cost: nine statements; found by the index (finished_at), deleted by primary keys.
    """
    unfinished = exists().where(_below.c.root_id == _execution.id, _below.c.finished_at.is_(None))
    untold = exists().where(t.outbox.c.execution_id == _execution.id, t.outbox.c.kind == NOTIFY)
    ended = (_execution.finished_at < ended_before, _execution.parent_id.is_(None))
    oldest = select(_execution.id).where(*ended, ~unfinished, ~untold).order_by(_execution.finished_at).limit(limit)
    found = connection.execute(oldest).scalars().all()
    if not found:
        return 0
    # locked by key: MariaDB would lock all that it sorts
    again = select(_execution.id).where(_execution.id.in_(found), *ended).with_for_update(skip_locked=True)
    roots = connection.execute(again).scalars().all()
    if not roots:
        return 0
    lower = connection.execute(select(_execution.id).where(_execution.root_id.in_(roots))).scalars().all()
    for ids in batches([*roots, *lower]):
        for table in (t.mark, t.stored_value, t.history, t.outbox, t.execution_tag):
            connection.execute(delete(table).where(table.c.execution_id.in_(ids)))
        connection.execute(delete(t.execution).where(_execution.id.in_(ids)))
    return len(roots)
