"""Connections and transactions.

A transaction is a function: `Database.transaction` runs it in one, and runs it again from the start when the database
gives a reason to (a deadlock, a serialization failure, a busy SQLite file, a duplicate key that a neighbour was first
to insert, a connection that broke).  So the function must do nothing but talk to its `Store`.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, exc, make_url

from lazyengine import errors
from lazyengine.backoff import backoff_seconds
from lazyengine.db import migrations
from lazyengine.db.bell import Bell
from lazyengine.db.direct import commit, connect_for_libpq
from lazyengine.db.kept import Kept
from lazyengine.db.locks import NotLocked, unlock_names
from lazyengine.db.recent import Recent
from lazyengine.db.statements import RING
from lazyengine.db.store import Store, Superseded, Unseen
from lazyengine.settings import Settings

T = TypeVar("T")

# SQLSTATE of PostgreSQL: serialization failure, deadlock, lock not available, unique violation, foreign key violation,
# prepared statement given up
RETRYABLE_SQLSTATES = {"40001", "40P01", "55P03", "23505", "23503", "26000"}
# errno of MySQL: deadlock, lock wait time-out, record changed, duplicate entry, foreign key violation (two)
RETRYABLE_MYSQL_ERRORS = {1213, 1205, 1020, 1062, 1451, 1452}
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.25


class Database:
    """The database of a service; opens its connections lazily and once per process, so it survives a fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = make_url(_with_driver(settings.database_url))
        self.dialect = self.url.get_backend_name()
        self._engine: Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._writer = threading.RLock() if self.dialect == "sqlite" else nullcontext()
        self._reader = self._writer if is_in_memory(self.url) else nullcontext()
        self.bell = Bell(self)
        self.kept, self.recent = Kept(), Recent()

    @property
    def engine(self) -> Engine:
        """The connection pool of this process."""
        with self._lock:
            if self._engine is None or self._pid != os.getpid():
                if self._engine is not None:
                    self._engine.dispose(close=False)  # the sockets belong to the parent process
                    self.bell = Bell(self)
                self._engine, self._pid = _create(self.url, self.settings), os.getpid()
                event.listen(self._engine, "connect", self._forget)
            return self._engine

    def _forget(self, *_: object) -> None:
        self.kept.clear()
        self.recent.clear()

    def dispose(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def transaction(self, work: Callable[[Store], T]) -> T:
        """Run `work` in one transaction that may write; on success it is committed when this returns.

        :raises DatabaseBusy: it did not get through within ``busy_timeout_seconds``
        :raises DatabaseUnavailable: there is no connection to be had
        """
        with self._writer:
            answer, store = self._repeat(work, writes=True)
        if store.has_news:
            self.bell.ring()
        return answer

    def snapshot(self, work: Callable[[Store], T]) -> T:
        """Run `work`, which only reads.  Raises as `transaction` does."""
        with self._reader:
            return self._repeat(work, writes=False)[0]

    def _repeat(self, work: Callable[[Store], T], writes: bool) -> tuple[T, Store]:
        deadline = time.monotonic() + self.settings.busy_timeout_seconds
        failures = broken = 0
        while True:
            try:
                with self.engine.connect() as connection:
                    if self.dialect == "sqlite":
                        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
                        connection = connection.execution_options(sqlite_begin=begin)
                    with connection.begin():
                        answer, store = self._attempt(connection, work, writes)
                store.remember()
                return answer, store
            except exc.TimeoutError as error:  # no connection became free in the pool
                raise errors.DatabaseBusy() from error
            except (Superseded, NotLocked) as error:
                reason: Exception = error
            except exc.DBAPIError as error:
                reason = error
                if not _retryable(error):
                    if not _unreachable(error):
                        self.check_ready()  # the most likely reason for a statement to be wrong
                        raise
                    broken += 1
                    if broken > 2:
                        raise errors.DatabaseUnavailable() from error
            pause = backoff_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            if time.monotonic() + pause > deadline:
                raise errors.DatabaseBusy() from reason
            time.sleep(pause)
            failures += 1

    def _attempt(self, connection: Connection, work: Callable[[Store], T], writes: bool) -> tuple[T, Store]:
        """Do it in the transaction of a connection: upon what is remembered, or if that will not do, what is read.

        Whatever is wrong with it is wrong only if it was read.
        """
        store = Store(connection, self.kept, self.recent, guesses=writes)
        try:
            answer = work(store)
            store.finish()
        except (Unseen, Superseded, errors.LazyEngineError) as error:
            if not store.is_guess:
                raise
            store.learn(error)
            store = Store(connection, self.kept, self.recent)
            answer = work(store)
            store.finish()
        return answer, store

    def ring(self) -> None:
        """Wake whoever waits, in all processes; it never fails.

        A transaction with `Store.has_news` does it by itself.
        """
        if self.engine.dialect.driver == "psycopg":
            with suppress(exc.SQLAlchemyError), self.engine.connect() as connection:
                commit(connection, RING)
        self.bell.ring()

    # -- schema -------------------------------------------------------------------------------------------------------

    def upgrade(self) -> None:
        """Create the tables, or bring them to the newest revision."""
        with self.engine.connect() as connection, connection.begin():
            migrations.upgrade(connection)

    def current_revision(self) -> str | None:
        """Return the revision of the schema, or None where there is none yet."""
        with self.engine.connect() as connection:
            return migrations.current(connection)

    def check_ready(self) -> None:
        """Check that the database answers and that its schema is the newest.

        :raises DatabaseUnavailable: it does not answer
        :raises SchemaNotReady: run the migrations first
        """
        try:
            current = self.current_revision()
        except exc.DBAPIError as error:
            raise errors.DatabaseUnavailable() from error
        _check_revision(current)


class CallersTransaction:
    """Stands in for a `Database` in a transaction that the caller has begun and ends; nothing is repeated."""

    def __init__(self, connection: Connection) -> None:
        """
        :raises ValueError: on a server, it would not see what others commit while it waits for them
        """
        isolation = connection.get_isolation_level()
        if connection.dialect.name != "sqlite" and isolation != "READ COMMITTED":
            raise ValueError(f"the connection has to be at READ COMMITTED, not at {isolation}: set its isolation_level")
        self.connection = connection
        self._is_ready = False

    def transaction(self, work: Callable[[Store], T]) -> T:
        """Run `work` in the caller's transaction.

        :raises DatabaseBusy: roll back, and repeat the transaction
        :raises DatabaseUnavailable: the connection broke
        :raises SchemaNotReady: run the migrations first
        """
        try:
            if not self._is_ready:
                _check_revision(migrations.current(self.connection))
                self._is_ready = True
            store = Store(self.connection)
            answer = work(store)
            store.flush()
            return answer
        except (Superseded, NotLocked) as error:
            raise errors.DatabaseBusy from error
        except exc.DBAPIError as error:
            if _retryable(error):
                raise errors.DatabaseBusy from error
            if _unreachable(error):
                raise errors.DatabaseUnavailable from error
            raise

    snapshot = transaction

    def dispose(self) -> None:
        """The connection is the caller's."""


def _check_revision(current: str | None) -> None:
    head = migrations.head()
    if current != head:
        raise errors.SchemaNotReady(current=current or "nothing", head=head)


def _with_driver(url: str) -> str:
    """Name the driver that the extras install where the URL names none."""
    for scheme, driver in (
        ("postgresql:", "postgresql+psycopg:"),
        ("mysql:", "mysql+pymysql:"),
        ("mariadb:", "mysql+pymysql:"),
    ):
        if url.startswith(scheme):
            return driver + url.removeprefix(scheme)
    return url


def is_in_memory(url: Any) -> bool:
    """Tell whether a database ends with its connection."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _create(url: Any, settings: Settings) -> Engine:
    wait_seconds = settings.busy_timeout_seconds
    backend = url.get_backend_name()
    options: dict[str, Any] = {"pool_size": settings.threads, "max_overflow": 4, "pool_timeout": wait_seconds}
    if backend == "sqlite":
        options["connect_args"] = {"timeout": wait_seconds, "check_same_thread": False}
        if is_in_memory(url):  # the database is its one connection
            options = {"poolclass": StaticPool, "connect_args": options["connect_args"]}
    elif backend == "postgresql":
        options["connect_args"] = {"options": f"-c lock_timeout={int(wait_seconds * 1000)}", "connect_timeout": 5}
    elif backend == "mysql":
        # READ COMMITTED takes no gap locks, which would let executions that share nothing wait for each other
        options["isolation_level"] = "READ COMMITTED"
        options["connect_args"] = {
            # without escapes PyMySQL has to double quotes and no more: 90 ms of CPU for 4 MiB in place of 230
            "init_command": f"SET SESSION innodb_lock_wait_timeout={max(1, int(wait_seconds))},"
            " sql_mode=CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
            "connect_timeout": 5,
            "charset": "utf8mb4",
        }
    engine = create_engine(url, **options)
    if engine.dialect.driver == "psycopg":
        event.listen(engine, "do_connect", connect_for_libpq)
    if backend == "mysql":
        event.listen(engine, "checkin", unlock_names)
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # a commit that was answered survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))


def _retryable(error: exc.DBAPIError) -> bool:
    cause: Any = error.orig
    if error.connection_invalidated:
        return False
    if cause is not None and cause.args and isinstance(cause.args[0], int):  # PyMySQL, which has a coarse sqlstate too
        return cause.args[0] in RETRYABLE_MYSQL_ERRORS
    if (state := getattr(cause, "sqlstate", None)) is not None:
        return state in RETRYABLE_SQLSTATES
    if (name := getattr(cause, "sqlite_errorname", None)) is not None:
        return str(name).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CONSTRAINT"))
    return False


def _unreachable(error: exc.DBAPIError) -> bool:
    """Tell a database that is away, shutting down or full from a statement that is wrong."""
    cause: Any = error.orig
    if error.connection_invalidated or isinstance(error, exc.InterfaceError):
        return True
    if not isinstance(error, exc.OperationalError):
        return False
    if (name := getattr(cause, "sqlite_errorname", None)) is not None:
        return str(name) != "SQLITE_ERROR"
    state = getattr(cause, "sqlstate", None)
    return state is None or str(state).startswith(("08", "53", "57"))
