"""A bell between processes: who has committed something rings, who waits for that looks again.

On PostgreSQL it is heard at once in every process (NOTIFY and LISTEN).  SQLite and MariaDB can tell nobody: there who
waits looks by itself, after pauses that grow while nothing is found.  Within a process it is always heard.

Nothing depends on it: a ring that is lost costs at most `LONGEST_PAUSE_SECONDS`.
"""

import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from lazyengine.db.statements import LISTEN

if TYPE_CHECKING:
    from lazyengine.db.database import Database

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.25
LONGEST_SILENCE_SECONDS = 5.0
"""How long who hears the bell waits without looking by itself: a ring may have been lost."""


class Bell:
    """The bell of one database in one process."""

    def __init__(self, database: "Database") -> None:
        self.database = database
        self.rung = threading.Condition()
        self.rings = 0

    def ring(self) -> None:
        """Wake whoever waits in this process.  Call it after the commit; it never fails."""
        with self.rung:
            self.rings += 1
            self.rung.notify_all()

    def listener(self) -> "Listener":
        """Return somebody who waits, in one thread."""
        return Hearing(self) if self.database.dialect == "postgresql" else Listener(self)


class Listener:
    """Waits for the bell of its own process, and looks by itself for what others have done.

    Use it as a context manager: look, and `wait` when nothing was there, with `found=False`.
    """

    def __init__(self, bell: Bell) -> None:
        self.bell, self.heard = bell, bell.rings
        self.pause_seconds = FIRST_PAUSE_SECONDS

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, seconds: float, found: bool = False) -> None:
        """Wait until it is worth to look again, at most `seconds`.

        :param found: the last look found something, so that there may be more soon
        """
        self.pause_seconds = FIRST_PAUSE_SECONDS if found else min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)
        self.wait_here(min(seconds, self.pause_seconds))

    def wait_here(self, seconds: float) -> bool:
        """Wait for a ring of this process; one since the last wait counts."""
        with self.bell.rung:
            rung = self.bell.rung.wait_for(lambda: self.bell.rings != self.heard, max(0.0, seconds))
            self.heard = self.bell.rings
        return rung

    def close(self) -> None:
        """Wait no more."""


class Hearing(Listener):
    """Waits for the bell of all processes, on a connection of its own."""

    def __init__(self, bell: Bell) -> None:
        super().__init__(bell)
        self.connection: Any = None

    def wait(self, seconds: float, found: bool = False) -> None:
        deadline = time.monotonic() + min(seconds, LONGEST_SILENCE_SECONDS)
        try:
            if self.connection is None:
                self._listen()
                return  # what happened before it could hear was not heard
            for _ in self.connection.notifies(timeout=max(0.0, deadline - time.monotonic()), stop_after=1):
                pass
            for _ in self.connection.notifies(timeout=0):
                pass  # many rings are one
        except (exc.SQLAlchemyError, driver_error(self.bell.database)):
            self.close()
            super().wait(deadline - time.monotonic(), found)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _listen(self) -> None:
        self.connection = connect(self.bell.database)
        self.connection.execute(LISTEN)


def connect(database: "Database") -> Any:
    """Return a connection of psycopg outside the pool, which commits each statement at once."""
    raw = database.engine.raw_connection()
    connection: Any = raw.driver_connection
    raw.detach()
    connection.autocommit = True
    return connection


def driver_error(database: "Database") -> type[Exception]:
    """Return the base of the errors of the driver."""
    error: type[Exception] = database.engine.dialect.loaded_dbapi.Error
    return error
