"""psycopg without its cursors: what it does beside executing statements, which `test_direct` compares."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Text, bindparam, create_engine, func, select, text

from lazyengine.db.database import Database, _with_driver
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


@pytest.mark.parametrize("threshold", [None, 5])
def test_where_nothing_is_prepared_it_works_as_well(database: Database, threshold: int | None) -> None:
    """Behind a proxy that bears no prepared statements; and on a connection that is the caller's."""
    engine = database.engine if threshold is None else create_engine(_with_driver(database.settings.database_url))
    with engine.connect() as connection:
        driver_of(connection).prepare_threshold = threshold
        assert ECHO.first(connection, {"value": "abc"}).size == 3
        assert prepared(connection) == 0
        connection.rollback()
        assert ECHO.first(connection, {"value": "abcd"}).size == 4
        connection.invalidate()
    if threshold is not None:
        engine.dispose()


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

    def interrupt(_: Session) -> Any:
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
