"""What the database may do to a transaction, and what a caller sees of it: nothing, 'busy' or 'unavailable'."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest
from driving import OWNER, PAIR, done, history, names, new_id, started, success, wish
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.db.store import Store
from lazyengine.engine import Engine
from lazyengine.records import ExecutionQuery
from lazyengine.settings import Settings

DEAD = {
    "postgresql": "postgresql://nobody@127.0.0.1:1/none",
    "mysql": "mysql://nobody@127.0.0.1:1/none",
    "sqlite": "sqlite:////nowhere/at/all.db",
}


@pytest.fixture
def impatient(settings: Settings) -> Iterator[Database]:
    """A database that waits for half a second at most."""
    database = Database(replace(settings, busy_timeout_seconds=0.5))
    yield database
    database.dispose()


def once(action: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, with `action` before its first call."""
    calls: list[Any] = []

    def instead(*args: Any, **more: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            action(*args)
        return method(*args, **more)

    return instead


def test_a_superseded_decision_is_taken_again(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should somebody write to an execution in spite of the lock, the guard on the generation finds out."""
    id = started(engine, PAIR)

    def write_in_spite(store: Store, *_: Any) -> None:
        store.connection.execute(update(t.execution).where(t.execution.c.id == id).values(generation=77))

    monkeypatch.setattr(Store, "save_decision", once(write_in_spite, Store.save_decision))
    answer = done(engine, id, "a")
    assert (names(answer.scheduled), answer.replayed) == (["b"], False)
    assert [row["generation"] for row in history(database, id)] == [1, 1, 2, 2]


def test_of_two_decisions_neither_is_lost(engine: Engine, database: Database) -> None:
    """What was saved first reaches the database before what is saved next, of another execution too."""
    ids = [started(engine, PAIR) for _ in range(2)]

    def work(store: Store) -> None:
        found = [store.lock_execution(OWNER, id) for id in ids]
        for id, locked in zip(ids, found, strict=True):
            assert locked
            header = locked.header
            store.save_header(id, header, header._replace(info="seen", generation=9), engine.clock())

    database.transaction(work)
    assert [engine.get_execution(OWNER, id).info for id in ids] == ["seen", "seen"]


@pytest.mark.backends("postgresql")
def test_a_fault_of_ours_is_not_taken_for_somebody_elses_writing(engine: Engine, database: Database) -> None:
    """A NULL where there may be none is told, and not tried again and again."""
    id = started(engine, PAIR)

    def work(store: Store) -> None:
        locked = store.lock_execution(OWNER, id)
        assert locked
        store.save_header(id, locked.header, locked.header._replace(live=None, generation=9), engine.clock())  # type: ignore[arg-type]

    with pytest.raises(IntegrityError):
        database.transaction(work)


@pytest.mark.backends("postgresql")
def test_who_waits_for_the_lock_sees_what_was_done_meanwhile(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion reads its task in the statement that locks the execution: as it was before it had to wait."""
    id = started(engine, PAIR)
    with database.engine.connect(), database.engine.connect():
        pass  # as a new one lets all be forgotten that was kept
    engine.get_task(OWNER, id, "a")
    database.transaction(lambda store: store.lock_execution(OWNER, id))
    answers: list[Any] = []
    elsewhere = Engine(database, engine.settings)  # as a process of its own: within one they take turns
    second = Thread(target=lambda: answers.append(done(elsewhere, id, "a")))

    def let_another_wait(*_: Any) -> None:
        second.start()
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%seen%'")
        with database.engine.connect() as other:
            while not other.execute(waiting).scalar_one():
                other.rollback()
                time.sleep(0.01)

    monkeypatch.setattr(Store, "save_decision", once(let_another_wait, Store.save_decision))
    assert done(engine, id, "a").replayed is False
    second.join()
    assert answers[0].replayed is True
    assert [row["generation"] for row in history(database, id)] == [1, 1, 2, 2]


@pytest.mark.backends("postgresql", "mysql")
def test_a_connection_that_breaks_is_replaced(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the session in the middle of a decision: it is taken again over a new connection."""
    id = started(engine, PAIR)

    def end_session(store: Store, *_: Any) -> None:
        own, kill = {
            "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
            "mysql": ("SELECT connection_id()", "KILL {}"),
        }[database.dialect]
        session = store.connection.exec_driver_sql(own).scalar_one()
        with database.engine.connect() as other:
            other.exec_driver_sql(kill.format(session)).close()

    monkeypatch.setattr(Store, "save_decision", once(end_session, Store.save_decision))
    assert names(done(engine, id, "a").scheduled) == ["b"]
    assert len(history(database, id)) == 4


@pytest.mark.backends("postgresql", "mysql")
def test_a_real_deadlock_is_resolved(engine: Engine, database: Database) -> None:
    """Two transactions lock two executions in opposite order: the database ends one, which then runs again."""
    ids = [started(engine, PAIR) for _ in range(2)]
    barrier = Barrier(2)
    attempts: list[str] = []

    def work(order: list[str]) -> Callable[[Store], None]:
        def lock_both(store: Store) -> None:
            attempts.append(order[0])
            store.lock_execution(OWNER, order[0])
            if attempts.count(order[0]) == 1:
                barrier.wait(10)
            store.lock_execution(OWNER, order[1])
            store.describe(order[0], f"locked first {order[0]}", None, engine.clock())

        return lock_both

    threads = [Thread(target=database.transaction, args=(work(order),)) for order in (ids, ids[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(attempts) == 3
    assert [engine.get_execution(OWNER, id).description for id in ids] == [f"locked first {id}" for id in ids]


@pytest.mark.backends("postgresql")
def test_a_real_serialization_failure_is_retried(engine: Engine, database: Database) -> None:
    """At REPEATABLE READ, PostgreSQL refuses to update what changed since the snapshot; the retry sees the change."""
    id = started(engine, PAIR)
    seen: list[str] = []

    def work(store: Store) -> None:
        store.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        execution = store.execution(OWNER, id)
        assert execution is not None
        seen.append(execution.description)
        if len(seen) == 1:
            engine.update_execution(OWNER, id, description="changed meanwhile")
        store.describe(id, f"after {execution.description}", None, engine.clock())

    database.transaction(work)
    assert seen == ["", "changed meanwhile"]
    assert engine.get_execution(OWNER, id).description == "after changed meanwhile"


@pytest.mark.backends("postgresql", "mysql")
def test_a_start_that_was_beaten_by_another(
    engine: Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same id was inserted after the look-up and before the insert: the retry answers what the other started."""
    request = wish(PAIR, id=new_id())
    started(engine, PAIR)  # the graph is there

    def be_beaten(*_: Any) -> None:
        monkeypatch.undo()
        engine.start_execution(OWNER, request)

    monkeypatch.setattr(Store, "add_execution", once(be_beaten, Store.add_execution))
    answer = engine.start_execution(OWNER, request)
    assert (answer.created, names(answer.scheduled)) == (False, ["a"])
    assert len(history(database, str(request.id))) == 2


def test_busy_when_another_holds_the_row(engine: Engine, database: Database, impatient: Database) -> None:
    """A caller is told within a moment, nothing has changed, and the repeat goes through."""
    id = started(engine, PAIR)
    before = history(database, id)

    def hold(store: Store) -> None:
        store.lock_execution(OWNER, id)
        began = time.monotonic()
        with pytest.raises(errors.DatabaseBusy):
            Engine(impatient, impatient.settings).complete_task(OWNER, id, success("a"))
        assert time.monotonic() - began < 5

    database.transaction(hold)
    assert history(database, id) == before
    assert names(Engine(impatient, impatient.settings).complete_task(OWNER, id, success("a")).scheduled) == ["b"]


def test_readers_do_not_wait_for_writers(engine: Engine, database: Database, impatient: Database) -> None:
    """What is being decided can be read, as it was before."""
    id = started(engine, PAIR)
    reader = Engine(impatient, impatient.settings)

    def hold(store: Store) -> str:
        store.lock_execution(OWNER, id)
        store.describe(id, "not yet", None, engine.clock())
        assert len(reader.list_executions(OWNER, ExecutionQuery()).items) == 1
        return reader.get_execution(OWNER, id).description

    assert database.transaction(hold) == ""


def test_busy_when_the_pool_is_empty(settings: Settings) -> None:
    """All connections are taken: a caller waits no longer than for the database itself."""
    database = Database(replace(settings, busy_timeout_seconds=0.3, threads=1))
    taken = [database.engine.connect() for _ in range(1 + 4)]
    with pytest.raises(errors.DatabaseBusy):
        Engine(database, settings).list_executions(OWNER, ExecutionQuery())
    for connection in taken:
        connection.close()
    database.dispose()


@pytest.mark.parametrize("url", DEAD.values(), ids=DEAD)
def test_unavailable(url: str) -> None:
    """A database that does not answer is reported within seconds, by reads and writes alike."""
    settings = Settings(database_url=url)
    engine = Engine(Database(settings), settings)
    began = time.monotonic()
    for call in (
        lambda: engine.list_executions(OWNER, ExecutionQuery()),
        lambda: engine.complete_task(OWNER, new_id(), success("a")),
        engine.check_ready,
    ):
        with pytest.raises(errors.DatabaseUnavailable):
            call()
    assert time.monotonic() - began < 5


def test_a_wrong_statement_is_no_excuse(database: Database) -> None:
    """An error of our own making is neither retried nor called a database that is away."""
    began = time.monotonic()
    for sql in ("SELECT nothing FROM execution", "SELECT * FROM no_such_table"):
        with pytest.raises(DBAPIError):
            database.transaction(lambda store, sql=sql: store.connection.exec_driver_sql(sql))
    assert time.monotonic() - began < 2
