"""Completing many tasks in one transaction: in order, each with its own answer."""

from typing import Any

import pytest
from driving import DIAMOND, OWNER, TWICE, failure, history, names, started, success, task_states

from lazyengine import errors
from lazyengine.core.state import Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report


def codes(answers: tuple[Any, ...]) -> list[str]:
    """The code of each refusal, 'replayed' or 'ok'."""
    return [
        answer.code if isinstance(answer, errors.LazyEngineError) else "replayed" if answer.replayed else "ok"
        for answer in answers
    ]


def test_dependent_tasks_in_one_batch(engine: Engine) -> None:
    """A task may be completed in the batch that makes it ready: a whole diamond in one transaction."""
    id = started(engine, DIAMOND)
    status, answers = engine.complete_tasks(OWNER, id, [success(task) for task in "abcd"])
    assert codes(answers) == ["ok"] * 4
    assert [names(answer.scheduled) for answer in answers] == [["b", "c"], [], ["d"], []]
    assert {answer.execution for answer in answers} == {status} if status.output is None else True
    assert (status.state, status.output) == ("SUCCESS", {})
    assert set(task_states(engine, id).values()) == {"SUCCESS"}


def test_a_refused_entry_does_not_undo_the_others(engine: Engine, database: Database) -> None:
    """Too early, unknown, stale, repeated, contradicted: each is answered in its place, what is valid is done."""
    id = started(engine, DIAMOND)
    reports = [
        success("d"), success("a"), success("nope"), success("a"), failure("a"), success("b", iteration=7),
        success("b", attempt=9), success("b"), success("c"),
    ]  # fmt: skip
    _, answers = engine.complete_tasks(OWNER, id, reports)
    assert codes(answers) == [
        "task.not_running", "ok", "task.not_found", "replayed", "task.already_completed", "task.not_found",
        "task.stale_attempt", "ok", "ok",
    ]  # fmt: skip
    assert answers[3].scheduled == answers[1].scheduled
    assert task_states(engine, id) == {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS", "d": "RUNNING"}
    assert [row["kind"] for row in history(database, id)].count("late_result") == 1


def test_the_batch_again_is_answered_again(engine: Engine, database: Database) -> None:
    """Repeating a batch gives the same answers, marked as replayed, and writes nothing."""
    id = started(engine, DIAMOND)
    reports = [success(task, {"of": task}) for task in "abc"]
    status, first = engine.complete_tasks(OWNER, id, reports)
    before = history(database, id)
    status_again, again = engine.complete_tasks(OWNER, id, reports)
    assert codes(again) == ["replayed"] * 3
    assert status_again == status
    assert [answer.scheduled for answer in again] == [answer.scheduled for answer in first]
    assert [answer.task for answer in again] == [answer.task for answer in first]
    assert history(database, id) == before


def test_an_outcome_that_ends_the_execution_refuses_the_rest(engine: Engine, database: Database) -> None:
    """What stands behind the end in the same batch came too late, and is kept as such."""
    id = started(engine, {"a": {"on-success": "succeed"}, "b": None})
    status, answers = engine.complete_tasks(OWNER, id, [success("a"), success("b")])
    assert codes(answers) == ["ok", "execution.finished"]
    assert status.state == "SUCCESS"
    assert history(database, id)[-1]["kind"] == "late_result"


def test_every_run_of_a_task_in_one_batch(engine: Engine) -> None:
    """Without an iteration the newest run is meant, as the batch has left it so far."""
    id = started(engine, TWICE)
    reports = [success("a"), success("c", 1), success("b"), success("c", 2), success("c", 1, iteration=1)]
    _, answers = engine.complete_tasks(OWNER, id, reports)
    assert codes(answers) == ["ok", "ok", "ok", "ok", "replayed"]
    assert [(answer.task.name, answer.task.iteration) for answer in answers[1:4:2]] == [("c", 1), ("c", 2)]
    assert [[(one.task, one.iteration) for one in answer.scheduled] for answer in answers] == [
        [("c", 1)], [("d", 1)], [("c", 2)], [("d", 2)], [("d", 1)],
    ]  # fmt: skip


def test_a_batch_for_nobody(engine: Engine) -> None:
    """Only an execution that is not there refuses the batch as a whole; an empty one changes nothing."""
    with pytest.raises(errors.ExecutionNotFound):
        engine.complete_tasks(OWNER, "00000000-0000-0000-0000-000000000000", [success("a")])
    id = started(engine, DIAMOND)
    status, answers = engine.complete_tasks(OWNER, id, [])
    assert (status.state, answers) == ("RUNNING", ())


def test_a_thousand_tasks_at_once(engine: Engine) -> None:
    """The largest batch of the API: a fan-in of 1,000 tasks, and its join."""
    tasks: dict[str, Any] = {f"t{n}": {"on-success": "j"} for n in range(999)}
    id = started(engine, tasks | {"j": {"join": "all"}})
    reports = [Report(f"t{n}", Outcome(TaskState.SUCCESS, n)) for n in range(999)]
    status, answers = engine.complete_tasks(OWNER, id, [*reports, success("j")])
    assert set(codes(answers)) == {"ok"}
    assert names(answers[998].scheduled) == ["j"]
    assert status.state == "SUCCESS"
