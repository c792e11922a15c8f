"""Retention: executions are deleted some time after their end, a few in each transaction."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from lazyengine.db.database import Database
from lazyengine.db.retention import purge_executions
from lazyengine.db.store import Store
from lazyengine.dispatch.lanes import LONGEST_WAIT_SECONDS, Call, Lane
from lazyengine.engine import Engine
from lazyengine.settings import Settings

BATCH = 100
"""Executions in one transaction: about 20 ms of deleting short ones."""

SHARE = 0.5
"""Of the time, how much it leaves to others."""


def purge(database: Database, ended_before: datetime, limit: int | None = None) -> Iterator[int]:
    """Delete executions that ended before a time, with all below them; yield how many after each transaction.

    :param limit: how many at most; None is all
    """
    left = limit
    while left is None or left > 0:
        wanted = BATCH if left is None else min(BATCH, left)
        began = time.monotonic()
        count = database.transaction(partial(_purge, ended_before=ended_before, limit=wanted))
        if not count:
            return
        left = None if left is None else left - count
        yield count
        time.sleep((time.monotonic() - began) * SHARE / (1 - SHARE))


def _purge(store: Store, ended_before: datetime, limit: int) -> int:
    return purge_executions(store.connection, ended_before, limit)


class Keeper(Lane):
    """A lane that deletes what was kept for long enough."""

    def __init__(self, engine: Engine, settings: Settings, call: Call, stopped: threading.Event) -> None:
        super().__init__("lane of retention", call, stopped)
        self.database, self.clock = engine.database, engine.clock
        self.kept = timedelta(seconds=settings.retention_seconds)

    def close(self) -> None:
        """Nothing stays open that would be its own."""

    def work(self) -> float:
        """Delete all that is due."""
        for _ in purge(self.database, self.clock() - self.kept):
            if self.stopped.is_set():
                break
        self.failures = 0
        return LONGEST_WAIT_SECONDS
