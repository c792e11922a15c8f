"""Locks on names, for what has no row to lock; the database server keeps them.

A transaction has one until it ends (`lock_name`); or whoever enters it has it on a connection of its own, which dies
with its process, and may write what it likes over others meanwhile (`AdvisoryLocks`).
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, func, select
from sqlalchemy.exc import DBAPIError

from lazyengine import errors

SERVERS = frozenset({"postgresql", "mysql", "mariadb"})
SHORT_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5, 3600
KEEPS_LOCKS = "keeps_locks"


class NotLocked(Exception):
    """Somebody else has the name; the transaction has to start again."""


def lock_name(connection: Connection, *parts: str) -> None:
    """Wait for a name, and have it until this transaction has ended.

    SQLite has one writer at a time, which is enough.

    :raises NotLocked: it was not to be had in time
    """
    name = _digest("\0".join(parts))
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_number(name))))
    elif connection.dialect.name == "mysql":
        connection.info[KEEPS_LOCKS] = True
        if not connection.scalar(select(func.get_lock(name, SHORT_WAIT_SECONDS))):
            raise NotLocked(name)


def unlock_names(connection: Any, record: Any) -> None:
    """Give back the names that a connection of MariaDB has, when it goes back to its pool: they outlive COMMIT."""
    if record.info.pop(KEEPS_LOCKS, False) and connection is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_ALL_LOCKS()")


class AdvisoryLocks:
    """Locks by name on the server of an engine, each on a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @contextmanager
    def __call__(self, execution: str) -> Iterator[None]:
        """Hold the lock of an execution.

        :raises DatabaseBusy: somebody has held it for an hour
        :raises DatabaseUnavailable: there is no connection to be had
        """
        with ExitStack() as stack:
            try:
                _lock(stack.enter_context(self.engine.connect()), _digest(execution))
            except DBAPIError as error:
                raise errors.DatabaseUnavailable from error
            yield

    def schema(self) -> AbstractContextManager[None]:
        """Hold the lock of the schema of the database."""
        return self("schema")


def _lock(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_lock(_number(name))))
    elif not connection.scalar(select(func.get_lock(name, LONGEST_WAIT_SECONDS))):
        raise errors.DatabaseBusy


def _digest(name: str) -> str:
    """Return as many characters as MariaDB takes for the name of a lock, at most."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _number(digest: str) -> int:
    """Return what PostgreSQL takes for a name: 60 bits."""
    return int(digest[:15], 16)
