"""Completing one task: taken in, answered again, contradicted, stale, too early, too late."""

from dataclasses import replace

import pytest
from driving import (
    DIAMOND,
    OWNER,
    PAIR,
    STRANGER,
    cancellation,
    done,
    failure,
    history,
    names,
    started,
    state_of,
    success,
    task_states,
)

from lazyengine import errors
from lazyengine.core.state import ExecutionState, Failure, Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report


def test_a_diamond_runs_to_its_end(engine: Engine) -> None:
    """Each completion hands out what it made ready, the join once, and the last one ends the execution."""
    id = started(engine, DIAMOND)
    assert names(done(engine, id, "a").scheduled) == ["b", "c"]
    assert names(done(engine, id, "c").scheduled) == []
    assert names(done(engine, id, "b").scheduled) == ["d"]
    last = done(engine, id, "d")
    assert (last.scheduled, last.execution.state, last.execution.output) == ((), "SUCCESS", {})
    ended = engine.get_execution(OWNER, id)
    assert (ended.state, ended.output, ended.info) == ("SUCCESS", {}, None)
    assert ended.finished_at == ended.updated_at >= ended.created_at


def test_an_outcome_is_kept(engine: Engine) -> None:
    """What a worker reports is what a later read shows, result and failure alike."""
    id = started(engine, {"a": None, "b": None})
    engine.complete_task(OWNER, id, success("a", {"k": [1, None]}))
    broken = Outcome(TaskState.FAILURE, {"part": 1}, Failure("Boom", "it broke", {"line": 7}))
    answer = engine.complete_task(OWNER, id, Report("b", broken)).task
    assert (answer.result, answer.failure, answer.info) == (broken.result, broken.failure, "it broke")
    assert engine.get_task(OWNER, id, "b") == answer
    assert engine.get_task(OWNER, id, "a").result == {"k": [1, None]}


@pytest.mark.parametrize("report", [success("a", {"x": 1}), failure("a"), cancellation("a")])
def test_the_same_outcome_again_is_answered_again(engine: Engine, database: Database, report: Report) -> None:
    """A repeat gets the same body with the same scheduled tasks, and leaves no trace."""
    id = started(engine, {"a": {"on-complete": "b", "on-error": "c"}, "b": None, "c": None, "other": None})
    first = engine.complete_task(OWNER, id, report)
    before = history(database, id), engine.get_execution(OWNER, id)
    again = engine.complete_task(OWNER, id, report)
    assert not first.replayed
    assert again == replace(first, replayed=True)
    assert (history(database, id), engine.get_execution(OWNER, id)) == before


def test_a_repeat_long_after_is_answered_alike(engine: Engine) -> None:
    """Scheduled is what that completion handed out, whatever happened since; only the execution's state is today's."""
    id = started(engine, DIAMOND)
    first = done(engine, id, "a")
    last = done(engine, id, "b", "c", "d")
    again = done(engine, id, "a")
    assert again == replace(first, replayed=True, execution=last.execution)
    assert done(engine, id, "d") == replace(last, replayed=True)


@pytest.mark.parametrize(
    "other", [success("a", 2), success("a", True), success("a", 1.0), success("a"), failure("a"), cancellation("a")]
)
def test_another_outcome_is_refused(engine: Engine, database: Database, other: Report) -> None:
    """The first outcome stands: nothing changes, and nothing is written."""
    id = started(engine, PAIR)
    engine.complete_task(OWNER, id, success("a", 1))
    before = history(database, id), engine.get_task(OWNER, id, "a")
    with pytest.raises(errors.TaskAlreadyCompleted, match="SUCCESS"):
        engine.complete_task(OWNER, id, other)
    assert (history(database, id), engine.get_task(OWNER, id, "a")) == before


def test_members_of_a_result_have_no_order(engine: Engine) -> None:
    """Two JSON objects that differ only in the order of their members are the same outcome."""
    id = started(engine, PAIR)
    engine.complete_task(OWNER, id, success("a", {"x": 1, "y": 2}))
    assert engine.complete_task(OWNER, id, success("a", {"y": 2, "x": 1})).replayed


def test_an_answer_for_another_attempt_is_stale(engine: Engine, database: Database) -> None:
    """It is refused with the current attempt named, changes no task, and is kept in the history."""
    id = started(engine, PAIR)
    with pytest.raises(errors.TaskStaleAttempt, match="at attempt 1, not 2") as caught:
        engine.complete_task(OWNER, id, success("a", "late", attempt=2))
    assert caught.value.facts["current"] == 1
    kept = history(database, id)[-1]
    assert (kept["kind"], kept["state"], kept["node_id"], kept["attempt"]) == ("late_result", "SUCCESS", 0, 2)
    assert kept["late"] == {"state": "SUCCESS", "result": "late", "failure": None}
    assert task_states(engine, id) == {"a": "RUNNING", "b": "PENDING"}
    assert names(engine.complete_task(OWNER, id, success("a", attempt=1)).scheduled) == ["b"]


def test_a_late_answer_is_kept_once(engine: Engine, database: Database) -> None:
    """Repeating it is refused alike and adds nothing; another one is kept too."""
    id = started(engine, PAIR)
    for result in ("late", "late", "later"):
        with pytest.raises(errors.TaskStaleAttempt):
            engine.complete_task(OWNER, id, success("a", result, attempt=2))
    late = [row["late"]["result"] for row in history(database, id) if row["kind"] == "late_result"]
    assert late == ["late", "later"]


def test_a_task_that_was_not_handed_out_cannot_be_completed(engine: Engine, database: Database) -> None:
    """Neither one that nothing has reached nor a join that still waits; nothing is written."""
    id = started(engine, DIAMOND)
    done(engine, id, "a", "b")
    before = history(database, id)
    with pytest.raises(errors.TaskNotRunning, match="PENDING"):
        engine.complete_task(OWNER, id, success("d"))
    with pytest.raises(errors.TaskNotRunning, match="PENDING"):
        engine.complete_task(OWNER, started(engine, PAIR), success("b"))
    assert history(database, id) == before


@pytest.mark.parametrize("state", [ExecutionState.CANCELLED, ExecutionState.FAILURE])
def test_an_answer_after_the_end_is_kept(engine: Engine, database: Database, state: ExecutionState) -> None:
    """Final is final: the answer is refused and kept in the history, and the task stays as it was."""
    id = started(engine, {"a": None, "b": {"on-success": "fail"}})
    if state is ExecutionState.CANCELLED:
        engine.update_execution(OWNER, id, state=state)
    else:
        done(engine, id, "b")
    ended = engine.get_execution(OWNER, id)
    with pytest.raises(errors.ExecutionFinished, match=state):
        engine.complete_task(OWNER, id, failure("a", "too late"))
    kept = history(database, id)[-1]
    assert (kept["kind"], kept["state"], kept["node_id"]) == ("late_result", "FAILURE", 0)
    assert kept["late"]["failure"] == {"type": "test", "message": "too late", "details": None}
    assert engine.get_task(OWNER, id, "a").state == "RUNNING"
    after = engine.get_execution(OWNER, id)
    assert (after.state, after.output, after.finished_at) == (ended.state, ended.output, ended.finished_at)


def test_what_is_not_there(engine: Engine) -> None:
    """An unknown execution, task or iteration is named; another owner's execution is as if it were not there."""
    id = started(engine, PAIR)
    with pytest.raises(errors.ExecutionNotFound):
        engine.complete_task(STRANGER, id, success("a"))
    with pytest.raises(errors.ExecutionNotFound):
        engine.complete_task(OWNER, "00000000-0000-0000-0000-000000000000", success("a"))
    with pytest.raises(errors.TaskNotFound, match="'nope'"):
        engine.complete_task(OWNER, id, success("nope"))
    with pytest.raises(errors.TaskNotFound, match="of iteration 2"):
        engine.complete_task(OWNER, id, success("a", iteration=2))
    assert state_of(engine, id) == "RUNNING"


def test_a_failure_that_nothing_answers_fails_the_execution(engine: Engine) -> None:
    """The other tasks still run to their end; then it fails, says why, and its output says so too."""
    id = started(engine, {"a": {"on-success": "b"}, "b": None, "c": None})
    assert engine.complete_task(OWNER, id, failure("a")).execution.state == "RUNNING"
    last = done(engine, id, "c")
    reason = "Task 'a' failed: it broke"
    assert (last.execution.state, last.execution.output) == ("FAILURE", {"result": reason})
    assert engine.get_execution(OWNER, id).info == reason
    assert task_states(engine, id) == {"a": "FAILURE", "b": "PENDING", "c": "SUCCESS"}


def test_a_failure_that_an_edge_answers_is_no_failure(engine: Engine) -> None:
    """on-error leads on, and the execution succeeds."""
    id = started(engine, {"a": {"on-error": "b"}, "b": None})
    assert names(engine.complete_task(OWNER, id, failure("a")).scheduled) == ["b"]
    assert done(engine, id, "b").execution.state == "SUCCESS"


def test_a_join_that_cannot_be_reached_any_more_fails(engine: Engine) -> None:
    """It fails without having run, with the reason, and the execution with it."""
    id = started(engine, {"a": {"on-success": "j"}, "b": {"on-success": "j"}, "j": {"join": "all"}})
    done(engine, id, "a")
    answer = engine.complete_task(OWNER, id, failure("b"))
    assert answer.execution.state == "FAILURE"
    join = engine.get_task(OWNER, id, "j")
    assert (join.state, join.attempt, join.failure and join.failure.type) == ("FAILURE", 0, "join")
