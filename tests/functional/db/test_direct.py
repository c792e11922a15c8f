"""Statements that go to the driver itself do what they do through SQLAlchemy, on each kind of database."""

import gc
import weakref
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, create_engine, event, insert, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from lazyengine.core.graph import Node
from lazyengine.core.state import (
    Event,
    EventKind,
    Failure,
    Intent,
    Items,
    LoopTally,
    Mark,
    Outcome,
    Strategy,
    TaskState,
)
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.db.direct import MOST_WANTED, Direct, DirectList
from lazyengine.db.rows import NO_DATA, event_row, is_plain, is_plain_event, mark_row
from lazyengine.db.statements import RARE_OF_EVENT, RARE_OF_MARK, append_history, save_marks
from lazyengine.records import RunData

EXECUTION = "00000000-0000-4000-8000-000000000001"
NOW = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
SHARED = {"execution_id": EXECUTION, "now": NOW}
"""What all rows of a decision share."""
FULL = Mark(
    7, state=TaskState.FAILURE, info="why \ud800 and \0", attempt=2, chosen=(3, 4), fed={1: 2}, started_at=NOW,
    outcome=Outcome(TaskState.FAILURE, {"ä": [1, 2.5, None]}, Failure("t", "m", {"d": 1})),
)  # fmt: skip
SESSION = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    "mysql": ("SELECT connection_id()", "KILL {}"),
}
"""What tells the session of a connection, and what ends one."""
_mark, _history = t.mark.c, t.history.c


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows of marks: one with much in it, the others empty."""
    marks = [FULL, *(Mark(8 + number) for number in range(count - 1))]
    return [mark_row(mark, Node(mark.node, "n"), NO_DATA, NOW) for mark in marks]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_what_is_written_and_read_is_the_same_as_through_sqlalchemy(database: Database, count: int) -> None:
    """All columns and types: names, JSON, moments, numbers, ids."""
    statement = select(*_mark).where(_mark.execution_id == bindparam("id")).order_by(_mark.node_id)
    rows, ours = rows_of(count), Direct(lambda dialect: save_marks(dialect, count))
    with database.engine.connect() as connection:
        hit = ours.run(connection, SHARED, *rows)
        written = [tuple(row) for row in connection.execute(statement, {"id": EXECUTION})]
        assert [tuple(row) for row in Direct(statement).rows(connection, {"id": EXECUTION})] == written
        first = Direct(statement).first(connection, {"id": EXECUTION})
        assert (first.info, first.started_at, first.result) == (FULL.info, NOW, {"ä": [1, 2.5, None]})
        connection.rollback()
        for row in rows:
            connection.execute(insert(t.mark), row | {"execution_id": EXECUTION, "created_at": NOW})
        assert [tuple(row) for row in connection.execute(statement, {"id": EXECUTION})] == written
    assert hit == count


PLAIN = Mark(
    7, state=TaskState.SUCCESS, attempt=1, live=2, runs=1, ended=1, chosen=(3,), told=-1, started_at=NOW,
    finished_at=NOW, finished_event=4, outcome=Outcome(TaskState.SUCCESS, [1]),
)  # fmt: skip
RARE: dict[str, Any] = {
    "item": 0, "info": "why", "intent": Intent.TELL, "place": 1, "retries": 1, "ending": TaskState.SUCCESS,
    "unhandled": True, "last": True, "given": {}, "items": Items(2), "fed": {1: 2}, "loop": LoopTally(), "hold": 1,
    "holds": (1,), "strategy": Strategy.RETRY, "asks": 1, "asleep": 1, "due_at": NOW, "deadline_at": NOW,
    "outcome": Outcome(TaskState.FAILURE, None, Failure("t", "m")), "state": TaskState.REVERTED,
}  # fmt: skip


@pytest.mark.parametrize("before", [None, FULL, PLAIN])
def test_a_plain_mark_is_written_like_any_other(database: Database, before: Mark | None) -> None:
    """What is rare is not sent, and is at its default afterwards, whatever was there."""
    written = []
    for plain in (False, True):
        with database.engine.connect() as connection:
            if before:
                row = mark_row(before, Node(7, "n"), NO_DATA, NOW)
                Direct(lambda dialect: save_marks(dialect, 1)).run(connection, SHARED, row)
            row = mark_row(PLAIN, Node(7, "n"), NO_DATA, NOW, plain)
            ours = Direct(lambda dialect, plain=plain: save_marks(dialect, 1, plain))
            ours.run(connection, SHARED, row)
            written.append([tuple(one) for one in connection.execute(select(*_mark))])
    assert written[0] == written[1] != []


def test_what_is_rare_is_known_as_such() -> None:
    """Each rare column makes a mark, or an event, one that is written whole."""
    assert is_plain(PLAIN, NO_DATA)
    assert not any(is_plain(replace(PLAIN, **{name: value}), NO_DATA) for name, value in RARE.items())
    assert not is_plain(PLAIN, RunData(input={}))
    whole, plain = (mark_row(PLAIN, Node(7, "n"), NO_DATA, NOW, short) for short in (False, True))
    assert whole.keys() - plain.keys() == set(RARE_OF_MARK)
    event = Event(1, 1, NOW, EventKind.TASK, "RUNNING", 7, 1)
    assert is_plain_event(event)
    changes = ({"item": 0}, {"info": ""}, {"late": PLAIN.outcome})
    assert not any(is_plain_event(event._replace(**change)) for change in changes)
    assert event_row(event).keys() - event_row(event, True).keys() == set(RARE_OF_EVENT)


def test_one_row_several_times(database: Database) -> None:
    ours = Direct(append_history(1))
    events = [Event(n, 1, NOW, EventKind.TASK, "RUNNING", n) for n in range(1, 6)]
    with database.engine.connect() as connection:
        ours.run_many(connection, SHARED, (event_row(event) for event in events))
        ours.run_many(connection, SHARED, [])
        found = connection.execute(select(_history.number).order_by(_history.number)).scalars()
        assert list(found) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [1, 2, 3, 5, MOST_WANTED, MOST_WANTED + 1, 200])
def test_lists_of_any_length(database: Database, size: int) -> None:
    """A list is filled up by its last value, which finds nothing twice."""
    ours = DirectList(select(_history.number).where(_history.execution_id == bindparam("id")), _history.number)
    with database.engine.connect() as connection:
        events = [event_row(Event(n, 1, NOW, EventKind.TASK, "RUNNING")) for n in range(300)]
        connection.execute(insert(t.history), [one | {"execution_id": EXECUTION} for one in events])
        wanted = list(range(0, 2 * size, 2))
        found = [row.number for row in ours.rows(connection, {"id": EXECUTION}, wanted)]
        assert sorted(found) == [number for number in wanted if number < 300]


def test_who_listens_to_cursors_hears_them(database: Database) -> None:
    """Tools that trace SQLAlchemy's statements do so by these events."""
    heard: list[str] = []

    def before(connection: Any, cursor: Any, sql: str, given: Any, context: Any, many: bool) -> tuple[str, Any]:
        context.span = f"span of {sql}"
        return f"{sql} /* traced */", given

    def after(connection: Any, cursor: Any, sql: str, given: Any, context: Any, many: bool) -> None:
        heard.append(f"{context.span}: {sql}")

    event.listen(database.engine, "before_cursor_execute", before, retval=True)
    event.listen(database.engine, "after_cursor_execute", after)
    with database.engine.connect() as connection, connection.begin():
        heard.clear()
        Direct(select(literal_column("1").label("one"))).rows(connection, {})
    assert heard == ["span of SELECT 1 AS one: SELECT 1 AS one /* traced */"]


def test_errors_are_sqlalchemys(database: Database) -> None:
    """A duplicate key, which a transaction is repeated for."""
    row = event_row(Event(1, 1, NOW, EventKind.TASK, "RUNNING"))
    with database.engine.connect() as connection:
        ours = Direct(append_history(1))
        ours.run(connection, SHARED, row)
        with pytest.raises(IntegrityError) as caught:
            ours.run(connection, SHARED, row)
    assert not caught.value.connection_invalidated


@pytest.mark.backends("postgresql", "mysql")
def test_a_broken_connection_is_given_up(database: Database) -> None:
    """So that the pool replaces it; the transaction is taken again over the next."""
    own, kill = SESSION[database.dialect]
    with database.engine.connect() as connection:
        session = connection.execute(text(own)).scalar_one()
        with database.engine.connect() as other:
            other.execute(text(kill.format(session))).close()
        with pytest.raises(DBAPIError) as caught:
            Direct(update(t.mark).values(attempt=1)).run(connection, {})
        assert caught.value.connection_invalidated
        assert connection.invalidated
    with database.engine.connect() as connection:
        assert connection.execute(text(own)).scalar_one() != session


@pytest.mark.backends("postgresql", "mysql")
def test_after_a_restart_of_the_server_none_of_the_old_connections_is_tried(database: Database) -> None:
    """A pool that is full of dead connections costs one failure, as with SQLAlchemy's own execution."""
    own, kill = SESSION[database.dialect]
    pooled = [database.engine.connect() for _ in range(5)]
    sessions = [connection.execute(text(own)).scalar_one() for connection in pooled]
    for connection in pooled:
        connection.close()
    other = Database(database.settings)
    with other.engine.connect() as connection:
        for session in sessions:
            connection.execute(text(kill.format(session))).close()
    other.dispose()
    tries: list[int] = []

    def work(store: Any) -> None:
        tries.append(1)
        store.lock_execution("", EXECUTION)

    database.transaction(work)
    assert len(tries) == 2


def test_an_engine_that_is_given_up_leaves_nothing(database: Database) -> None:
    """Not even what was compiled for it: a process may make many controllers."""
    other = Database(database.settings)
    other.snapshot(lambda store: store.lock_execution("", EXECUTION))
    dialect = weakref.ref(other.engine.dialect)
    other.dispose()
    del other
    gc.collect()
    assert dialect() is None


def test_values_are_hidden_where_the_engine_says_so(database: Database) -> None:
    row = event_row(Event(1, 1, NOW, EventKind.TASK, "RUNNING", info="a secret"))
    engine = create_engine(database.url, hide_parameters=True)
    with engine.connect() as connection:
        Direct(append_history(1)).run(connection, SHARED, row)
        with pytest.raises(IntegrityError) as caught:
            Direct(append_history(1)).run(connection, SHARED, row)
    engine.dispose()
    assert "a secret" not in str(caught.value)


def test_marks_that_differ_keep_their_own_values(database: Database) -> None:
    """Every row of a statement for several has the types of the first."""
    marks = [replace(FULL, node=node, chosen=(node,)) for node in (1, 2, 3)]
    rows = [mark_row(mark, Node(mark.node, "n"), NO_DATA, NOW) for mark in marks]
    with database.engine.connect() as connection:
        Direct(lambda dialect: save_marks(dialect, 3)).run(connection, SHARED, *rows)
        found = connection.execute(select(_mark.node_id, _mark.chosen, _mark.failure).order_by(_mark.node_id)).all()
    assert [(row.node_id, row.chosen, row.failure["message"]) for row in found] == [
        (1, [1], "m"), (2, [2], "m"), (3, [3], "m"),
    ]  # fmt: skip


def test_it_begins_a_transaction_where_there_is_none(database: Database) -> None:
    """Which whoever has the connection commits, or takes back."""
    row = event_row(Event(1, 1, NOW, EventKind.TASK, "RUNNING"))
    count = select(_history.number)
    for end, left in (("rollback", 0), ("commit", 1)):
        with database.engine.connect() as connection:
            Direct(append_history(1)).run(connection, SHARED, row)
            getattr(connection, end)()
        with database.engine.connect() as connection:
            assert len(connection.execute(count).all()) == left
