"""psycopg without its cursors: what it does beside executing statements, which `test_direct` compares."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    Connection,
    Text,
    bindparam,
    column,
    create_engine,
    event,
    func,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.exc import DBAPIError

from lazyengine.db import prepared as module
from lazyengine.db.database import Database
from lazyengine.db.direct import Direct, commit
from lazyengine.db.prepared import Session, session_of

pytestmark = pytest.mark.backends("postgresql")

ECHO = Direct(select(func.length(bindparam("value", type_=Text)).label("size")))
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'lazyengine%'"


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.engine.connect() as connection:
        yield connection


def driver_of(connection: Connection) -> Any:
    return connection.connection.driver_connection


def prepared(connection: Connection) -> int:
    """How many of our statements the server knows in this session."""
    return int(connection.execute(text(PREPARED)).scalar_one())


def test_a_transaction_that_is_taken_back_costs_no_prepared_statement(connection: Connection) -> None:
    """psycopg gives up all it has prepared: every request that is refused would slow the next ones down."""
    for _ in range(10):
        connection.execute(text("SELECT 1"))  # psycopg prepares it
    ECHO.first(connection, {"value": "abc"})
    before = prepared(connection)
    connection.rollback()
    assert prepared(connection) >= before > 0


def test_statements_that_somebody_gave_up_are_prepared_anew(database: Database) -> None:
    with database.engine.connect() as connection:
        ECHO.first(connection, {"value": "abc"})
        connection.execute(text("DEALLOCATE ALL"))
        connection.commit()
    tries: list[int] = []

    def work(store: Any) -> int:
        tries.append(1)
        return int(ECHO.first(store.connection, {"value": "abcd"}).size)

    assert database.transaction(work) == 4
    assert len(tries) == 2


def test_a_column_that_is_changed_elsewhere_costs_one_try(database: Database) -> None:
    """A migration while processes run: what they have prepared does not fit any more."""
    read = Direct(select(column("v")).select_from(table("changed")))
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE changed AS SELECT 1 AS v"))
    assert database.transaction(lambda store: read.first(store.connection, {}).v) == 1
    with database.engine.connect() as one, database.engine.begin() as other:
        other.execute(text("ALTER TABLE changed ALTER v TYPE text"))
        one.close()
    tries: list[int] = []

    def work(store: Any) -> Any:
        tries.append(1)
        return read.first(store.connection, {}).v

    assert database.transaction(work) == "1"
    assert len(tries) == 2


def test_what_a_listener_changes_is_not_prepared(database: Database) -> None:
    """Some write the id of a trace into each statement: the server would keep every one of them."""
    numbers = count()

    def comment(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> Any:
        return f"{sql} /* {next(numbers)} */", parameters

    event.listen(database.engine, "before_cursor_execute", comment, retval=True)
    with database.engine.connect() as connection:
        ECHO.first(connection, {"value": "abc"})
        before = prepared(connection)
        assert [ECHO.first(connection, {"value": "a" * n}).size for n in range(20)] == list(range(20))
        assert prepared(connection) == before
    event.remove(database.engine, "before_cursor_execute", comment)


def test_the_server_keeps_so_many_statements_and_no_more(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PREPARED", 5)
    others = [Direct(select(literal_column(str(n)).label("n"))) for n in range(10)]
    for _ in range(2):
        assert ECHO.first(connection, {"value": "abc"}).size == 3
        assert [one.first(connection, {}).n for one in others] == list(range(10))
    assert prepared(connection) == 5


def test_a_connection_that_is_the_callers_keeps_nothing(database: Database) -> None:
    """psycopg gives up what is prepared whenever a transaction is taken back."""
    engine = create_engine(database.url)
    with engine.connect() as connection:
        assert ECHO.first(connection, {"value": "abc"}).size == 3
        assert prepared(connection) == 0
        connection.rollback()
        assert ECHO.first(connection, {"value": "abcd"}).size == 4
        with driver_of(connection).pipeline(), pytest.raises(psycopg.ProgrammingError, match="pipeline"):
            ECHO.first(connection, {"value": "abcd"})
    engine.dispose()


def test_a_transaction_that_has_failed_is_not_committed(database: Database) -> None:
    """PostgreSQL answers such a COMMIT with a ROLLBACK, which is no error to it."""

    def work(store: Any) -> None:
        store.has_news = True
        with suppress(DBAPIError):
            store.connection.execute(text("SELECT 1/0"))

    database.ring()
    with pytest.raises(DBAPIError):
        database.transaction(work)


def test_a_transaction_begins_as_the_connection_says(database: Database) -> None:
    with database.engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        ECHO.first(connection, {"value": "abc"})
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "serializable"
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        ECHO.first(connection, {"value": "abc"})
        assert driver_of(connection).info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_message_that_is_larger_than_all_buffers(connection: Connection) -> None:
    size = 30_000_000
    assert ECHO.first(connection, {"value": "ä" * size}).size == size


def test_what_fails_after_a_commit_is_no_error(database: Database, connection: Connection) -> None:
    connection.execute(text("CREATE TABLE once (x int)"))
    commit(connection, "SELECT 1/0")
    with database.engine.connect() as other:
        assert other.execute(text("SELECT count(*) FROM once")).scalar_one() == 0


def test_one_that_is_interrupted_gives_its_connection_up(
    database: Database, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what the server has still to say: the answer to another question must not be taken for ours."""

    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_results", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ECHO.first(connection, {"value": "abc"})
    assert driver_of(connection).closed
    connection.close()
    assert database.transaction(lambda store: ECHO.first(store.connection, {"value": "abcd"}).size) == 4


def test_a_session_that_the_server_ends_is_an_error_of_the_driver(database: Database, connection: Connection) -> None:
    session = session_of(driver_of(connection))
    with database.engine.connect() as other:
        kill = f"SELECT pg_terminate_backend({driver_of(connection).info.backend_pid})"
        other.execute(text(kill)).close()
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT pg_sleep(5)", ())
    connection.invalidate()
