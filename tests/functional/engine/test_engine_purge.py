"""Retention: what ended long ago goes, with all that belongs to it; nothing else does."""

from datetime import timedelta

import pytest
from driving import OWNER, PAIR, Clock, document, done, new_id, rows, started, state_of
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.cli import main
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.dispatch import retention
from lazyengine.dispatch.retention import purge
from lazyengine.engine import Engine
from lazyengine.records import Notify, Start
from lazyengine.settings import Settings


def gone(engine: Engine, id: str) -> bool:
    try:
        engine.get_execution(OWNER, id)
    except errors.ExecutionNotFound:
        return True
    return False


def test_what_ended_long_ago_goes(timed: Engine, database: Database, clock: Clock) -> None:
    """To the last row; what ended later or runs stays."""
    old = started(timed, PAIR, tags=("x",))
    done(timed, old, "a", "b")
    running = started(timed, PAIR)
    clock.advance(100)
    new = started(timed, PAIR)
    done(timed, new, "a", "b")
    assert list(purge(database, clock.now - timedelta(seconds=50))) == [1]
    assert gone(timed, old)
    for table in (t.mark, t.history, t.execution_tag):
        assert rows(database, table, old) == []
    assert state_of(timed, new) == "SUCCESS"
    done(timed, running, "a", "b")


def test_those_below_go_with_the_one_at_the_top(timed: Engine, database: Database, clock: Clock) -> None:
    """And not before it: the one above still shows them."""
    definition = document({"a": {"workflow": "inner", "on-success": "b"}, "b": None})
    definition["inner"] = {"tasks": {"x": {"action": "std.noop"}}}
    id = timed.start_execution(OWNER, Start(definition, new_id(), workflow="w")).execution.id
    clock.advance(100)
    assert list(purge(database, clock.now)) == []
    done(timed, id, "b")
    clock.advance(100)
    assert list(purge(database, clock.now)) == [1]
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(t.execution)).scalar() == 0
        assert connection.execute(select(func.count()).select_from(t.mark)).scalar() == 0


def test_what_somebody_is_still_to_be_told_of_stays(timed: Engine, database: Database, clock: Clock) -> None:
    """A dead letter does not keep it."""
    id = started(timed, {"a": None}, notify=(Notify("https://h/"),))
    done(timed, id, "a")
    clock.advance(100)
    assert list(purge(database, clock.now)) == []
    with database.engine.begin() as connection:
        connection.execute(t.outbox.update().values(kind="dead_letter"))
    assert list(purge(database, clock.now)) == [1]
    assert gone(timed, id)


def test_a_few_at_a_time_and_no_more_than_asked(
    timed: Engine, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest first."""
    monkeypatch.setattr(retention, "BATCH", 3)
    ids = []
    for _ in range(8):
        ids.append(started(timed, {"a": None}))
        done(timed, ids[-1], "a")
        clock.advance(1)
    clock.advance(100)
    assert list(purge(database, clock.now, limit=5)) == [3, 2]
    assert [gone(timed, id) for id in ids] == [True] * 5 + [False] * 3
    assert list(purge(database, clock.now)) == [3]


@pytest.mark.backends("postgresql", "mysql")
def test_what_is_being_changed_is_passed_over(timed: Engine, database: Database, clock: Clock) -> None:
    """It waits for no lock."""
    ids = [started(timed, {"a": None}) for _ in range(2)]
    for id in ids:
        done(timed, id, "a")
    clock.advance(100)
    with database.engine.begin() as connection:
        connection.execute(select(t.execution).where(t.execution.c.id == ids[0]).with_for_update())
        assert list(purge(database, clock.now)) == [1]
    assert [gone(timed, id) for id in ids] == [False, True]


def test_the_command(
    engine: Engine, database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how many went; an age that is none is refused."""
    id = started(engine, {"a": None})
    done(engine, id, "a")
    where = ["--database-url", settings.database_url]
    assert main(["db", "purge", "--older-than", "1d", *where]) == 0
    assert main(["db", "purge", "--older-than", "0s", *where]) == 0
    assert capsys.readouterr().out == "0 executions deleted\n1 executions deleted\n"
    assert gone(engine, id)
    with pytest.raises(SystemExit):
        main(["db", "purge", "--older-than", "yesterday", *where])
