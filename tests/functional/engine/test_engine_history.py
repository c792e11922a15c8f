"""The history: every transition in order, numbered without gaps, by the decision that took it."""

from itertools import pairwise

from driving import DIAMOND, OWNER, TWICE, claim, done, failure, history, started, steps, success

from lazyengine.core.state import ExecutionState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Heartbeat


def assert_numbered(engine: Engine, database: Database, execution_id: str) -> None:
    """Numbers run from 1 without gaps; generations too, and the last of each is the header's."""
    rows = history(database, execution_id)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    generations = [row["generation"] for row in rows]
    assert generations[0] == 1
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(generations))
    assert engine.get_execution(OWNER, execution_id).generation == generations[-1]
    assert all(earlier["at"] <= later["at"] for earlier, later in pairwise(rows))


def test_a_diamond_step_by_step(engine: Engine, database: Database) -> None:
    """Each state that the execution and each task reached, in order, is a row."""
    id = started(engine, DIAMOND)
    done(engine, id, "a", "b", "c", "d")
    task = "task"
    assert steps(database, id) == [
        ("execution", "RUNNING", None), (task, "RUNNING", 0), (task, "SUCCESS", 0), (task, "RUNNING", 1),
        (task, "RUNNING", 2), (task, "SUCCESS", 1), (task, "SUCCESS", 2), (task, "RUNNING", 3), (task, "SUCCESS", 3),
        ("execution", "SUCCESS", None),
    ]  # fmt: skip
    assert [row["generation"] for row in history(database, id)] == [1, 1, 2, 2, 2, 3, 4, 4, 5, 5]
    assert_numbered(engine, database, id)


def test_numbers_have_no_gaps(engine: Engine, database: Database) -> None:
    """Through batches, late results, refusals, suspensions, repeats, claims and heartbeats."""
    id = started(engine, TWICE)
    claim(engine)
    engine.heartbeat(OWNER, id, Heartbeat("a", progress=0.5))
    engine.complete_tasks(OWNER, id, [success("a"), success("nope"), success("a"), success("c", attempt=3)])
    engine.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    engine.complete_tasks(OWNER, id, [success("b"), failure("c")])
    engine.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    engine.update_execution(OWNER, id, state=ExecutionState.RUNNING, tags=("x",))
    done(engine, id, "c")
    engine.update_execution(OWNER, id, state=ExecutionState.CANCELLED)
    engine.complete_tasks(OWNER, id, [success("d"), success("d"), failure("a")])
    assert_numbered(engine, database, id)


def test_only_what_ended_it_is_told_of_the_end(engine: Engine, database: Database) -> None:
    """The row of a failure carries its message, that of the execution the reason."""
    id = started(engine, {"a": None})
    engine.complete_task(OWNER, id, failure("a", "boom"))
    assert [row["info"] for row in history(database, id)] == [None, None, "boom", "Task 'a' failed: boom"]
