"""Locks that a database server keeps for whoever asks, and gives back when their connection ends.

They lock a name, no rows, so those who hold one may write what they like over other connections.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import blake2b

from sqlalchemy import Connection, Engine, NullPool, create_engine, func, select
from sqlalchemy.exc import DBAPIError

from lazyengine import errors

SERVERS = frozenset({"postgresql", "mysql", "mariadb"})
LONGEST_WAIT_SECONDS = 3600


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
        digest = blake2b(execution.encode(), digest_size=8).digest()
        with ExitStack() as stack:
            try:
                lock(stack.enter_context(self.engine.connect()), digest)
            except DBAPIError as error:
                raise errors.DatabaseUnavailable from error
            yield

    def schema(self) -> AbstractContextManager[None]:
        """Hold the lock of the schema of the database."""
        return self("schema")


def lock(connection: Connection, digest: bytes) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_lock(int.from_bytes(digest, signed=True))))
    elif not connection.scalar(select(func.get_lock(f"lazyengine:{digest.hex()}", LONGEST_WAIT_SECONDS))):
        raise errors.DatabaseBusy
