"""The verbs of those who look on: what there is to claim, how far executions are, what has happened."""

from collections.abc import Callable, Iterable
from datetime import datetime

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db.backlog import read_backlog
from lazyengine.db.database import Database
from lazyengine.db.secrets import signing_key
from lazyengine.db.watching import Wanted, count_offers, list_events, standings
from lazyengine.records import Backlog, Page, PastEvent
from lazyengine.settings import Settings

__all__ = ["Wanted", "Watching"]


class Watching:
    """The part of the engine that only looks."""

    database: Database
    settings: Settings
    clock: Callable[[], datetime]

    def signing_keys(self) -> list[str]:
        """Return the keys of callback URLs, the one that signs first."""
        configured = self.settings.signing_keys.split()
        return configured or [self.database.transaction(lambda store: signing_key(store.connection))]

    def count_offers(self, wanted: Wanted, most: int) -> int:
        """Count the tasks on offer that somebody wants, up to `most`."""
        return self.database.snapshot(lambda store: count_offers(store.connection, wanted, most, self.clock()))

    def backlog(self) -> Backlog:
        """Return what waits for somebody to do it, of all owners."""
        return self.database.snapshot(lambda store: read_backlog(store.connection, self.clock()))

    def standings(self, execution_ids: Iterable[str]) -> dict[str, tuple[ExecutionState, int]]:
        """Return state and number of history rows of each of these executions that there is."""
        return self.database.snapshot(lambda store: standings(store.connection, execution_ids))

    def list_events(self, owner: str, execution_id: str, after: int, limit: int) -> tuple[Page[PastEvent], bool]:
        """Return what has happened to an execution behind row `after` of its history, and whether it is over.

        :raises ExecutionNotFound: there is none of this id
        """
        found = self.database.snapshot(lambda store: list_events(store.connection, owner, execution_id, after, limit))
        if found is None:
            raise errors.ExecutionNotFound(execution_id=execution_id)
        return found
