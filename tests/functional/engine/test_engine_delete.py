"""Deleting executions, and that owners do not see each other."""

import pytest
from driving import DIAMOND, OWNER, PAIR, STRANGER, claim, done, new_id, rows, start, started
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import ExecutionQuery, Heartbeat, TaskQuery

BELONGINGS = (t.mark, t.history, t.outbox, t.execution_tag)


def test_a_finished_execution_is_deleted_whole(engine: Engine, database: Database) -> None:
    """Every row of it goes; its graph stays for the next one; the neighbours stay."""
    neighbour = started(engine, PAIR, tags=("x",))
    id = started(engine, PAIR, tags=("x", "y"))
    done(engine, id, "a", "b")
    kept = [rows(database, table, neighbour) for table in BELONGINGS]
    engine.delete_execution(OWNER, id)
    with pytest.raises(errors.ExecutionNotFound):
        engine.get_execution(OWNER, id)
    assert [rows(database, table, id) for table in BELONGINGS] == [[]] * len(BELONGINGS)
    assert [rows(database, table, neighbour) for table in BELONGINGS] == kept
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(t.graph)).scalar_one() == 1


def test_a_running_execution_is_deleted_only_by_force(engine: Engine, database: Database) -> None:
    """Without force it is refused and nothing happens; with it, what was on offer goes too."""
    id = started(engine, DIAMOND)
    with pytest.raises(errors.ExecutionNotFinished, match="RUNNING"):
        engine.delete_execution(OWNER, id)
    engine.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    with pytest.raises(errors.ExecutionNotFinished, match="SUSPENDING"):
        engine.delete_execution(OWNER, id)
    engine.delete_execution(OWNER, id, force=True)
    assert claim(engine) == []
    assert rows(database, t.mark, id) == []


def test_a_deleted_execution_is_gone(engine: Engine) -> None:
    """Deleting it again is refused, and its id is free for another request."""
    id = new_id()
    start(engine, DIAMOND, id=id)
    engine.delete_execution(OWNER, id, force=True)
    with pytest.raises(errors.ExecutionNotFound):
        engine.delete_execution(OWNER, id)
    assert start(engine, PAIR, id=id).created


def test_owners_do_not_see_each_other(engine: Engine) -> None:
    """Every verb on another owner's execution is refused as if there were none, and changes nothing."""
    id = started(engine, PAIR, tags=("x",))
    before = engine.get_execution(OWNER, id)
    for call in (
        lambda: engine.get_execution(STRANGER, id),
        lambda: engine.list_tasks(STRANGER, id, TaskQuery()),
        lambda: engine.get_task(STRANGER, id, "a"),
        lambda: engine.update_execution(STRANGER, id, description="mine"),
        lambda: engine.heartbeat(STRANGER, id, Heartbeat("a", progress=0.5)),
        lambda: engine.complete_tasks(STRANGER, id, []),
        lambda: engine.carry_on(STRANGER, id),
        lambda: engine.delete_execution(STRANGER, id, force=True),
    ):
        with pytest.raises(errors.ExecutionNotFound, match=id):
            call()
    assert engine.list_executions(STRANGER, ExecutionQuery()).items == ()
    assert engine.list_executions(STRANGER, ExecutionQuery(tag="x")).items == ()
    assert engine.list_executions(STRANGER, ExecutionQuery(marker=id)).items == ()
    assert claim(engine, owner=STRANGER) == []
    assert engine.get_execution(OWNER, id) == before
    assert claim(engine) == ["a"]


def test_owners_that_look_alike_are_different(engine: Engine) -> None:
    """'alice', 'alice ' and 'Alice' are three owners on every backend."""
    ids = {owner: started(engine, PAIR, owner=owner) for owner in ("alice", "alice ", "Alice")}
    for owner, id in ids.items():
        assert [one.id for one in engine.list_executions(owner, ExecutionQuery()).items] == [id]
