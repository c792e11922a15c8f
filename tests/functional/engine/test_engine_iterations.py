"""A task with several in-edges and no join: one run for each edge that fires, each with an address of its own."""

from collections.abc import Iterable

import pytest
from driving import OWNER, TWICE, claim, done, failure, started, state_of, success, task_states

from lazyengine import errors
from lazyengine.engine import Engine
from lazyengine.records import Assignment


def runs(assignments: Iterable[Assignment]) -> list[tuple[str, int]]:
    return [(one.task, one.iteration) for one in assignments]


def test_each_edge_is_a_run(engine: Engine) -> None:
    """The second edge to fire starts iteration 2, whether or not iteration 1 has ended."""
    id = started(engine, TWICE)
    assert runs(done(engine, id, "a").scheduled) == [("c", 1)]
    assert runs(done(engine, id, "b").scheduled) == [("c", 2)]
    assert task_states(engine, id) == {
        "a": "SUCCESS", "b": "SUCCESS", "c": "RUNNING", "c/2": "RUNNING", "d": "PENDING",
    }  # fmt: skip


def test_a_run_is_addressed_by_its_iteration(engine: Engine) -> None:
    """Without one the newest is meant; each run keeps its own outcome."""
    id = started(engine, TWICE)
    done(engine, id, "a", "b")
    assert runs(engine.complete_task(OWNER, id, success("c", "second")).scheduled) == [("d", 1)]
    assert runs(engine.complete_task(OWNER, id, success("c", "first", iteration=1)).scheduled) == [("d", 2)]
    assert [engine.get_task(OWNER, id, "c", iteration).result for iteration in (1, 2, None)] == [
        "first", "second", "second",
    ]  # fmt: skip
    assert engine.complete_task(OWNER, id, success("c", "second")).replayed
    with pytest.raises(errors.TaskAlreadyCompleted):
        engine.complete_task(OWNER, id, success("c", "second", iteration=1))


def test_an_iteration_that_did_not_begin_is_not_there(engine: Engine) -> None:
    """Iteration 1 of a task that nothing reached is PENDING; iteration 2 does not exist until it begins."""
    id = started(engine, TWICE)
    with pytest.raises(errors.TaskNotRunning):
        engine.complete_task(OWNER, id, success("c", iteration=1))
    with pytest.raises(errors.TaskNotFound, match="of iteration 2"):
        engine.complete_task(OWNER, id, success("c", iteration=2))
    done(engine, id, "a")
    with pytest.raises(errors.TaskNotFound, match="of iteration 2"):
        engine.get_task(OWNER, id, "c", 2)


def test_a_finished_first_run_survives_the_second(engine: Engine) -> None:
    """The mark of iteration 1 is also the tally of the node: a later token must not touch what its run left."""
    id = started(engine, TWICE)
    done(engine, id, "a")
    engine.complete_task(OWNER, id, success("c", {"kept": True}))
    before = engine.get_task(OWNER, id, "c", 1)
    done(engine, id, "b")
    assert engine.get_task(OWNER, id, "c", 1) == before
    assert engine.complete_task(OWNER, id, success("c", {"kept": True}, iteration=1)).replayed


def test_a_token_does_not_undo_a_claim(engine: Engine) -> None:
    """Iteration 1 is claimed, then another edge fires at the same mark: only iteration 2 is on offer."""
    id = started(engine, TWICE)
    assert claim(engine, limit=10) == ["a", "b"]
    done(engine, id, "a")
    assert claim(engine, "w2") == ["c"]
    held = engine.get_task(OWNER, id, "c", 1)
    done(engine, id, "b")
    assert engine.get_task(OWNER, id, "c", 1) == held
    assert held.claimed_by == "w2"
    assert claim(engine, "w3") == ["c"]
    assert engine.get_task(OWNER, id, "c", 2).claimed_by == "w3"
    assert claim(engine, "w4") == []


def test_an_unclaimed_run_stays_on_offer(engine: Engine) -> None:
    """The token that starts iteration 2 leaves iteration 1 on offer."""
    id = started(engine, TWICE)
    claim(engine)
    done(engine, id, "a", "b")
    assert claim(engine) == ["c", "c"]
    assert claim(engine) == []


def test_the_execution_ends_with_the_last_run(engine: Engine) -> None:
    """Every run counts; one that failed without an answer fails the execution."""
    id = started(engine, TWICE)
    done(engine, id, "a", "b", "c", "d")
    assert state_of(engine, id) == "RUNNING"
    last = engine.complete_task(OWNER, id, failure("c", iteration=1))
    assert (last.execution.state, last.execution.output) == ("FAILURE", {"result": "Task 'c' failed: it broke"})


def test_two_edges_from_one_task(engine: Engine) -> None:
    """on-success and on-complete to the same task are two runs of it."""
    id = started(engine, {"a": {"on-success": "b", "on-complete": "b"}, "b": None})
    assert runs(done(engine, id, "a").scheduled) == [("b", 1), ("b", 2)]
