"""A failed task runs again, or is skipped, on each kind of database.

What is asserted of ends and outputs was seen in Mistral's own engine, but where a docstring says otherwise.
"""

from typing import Any

import pytest
from driving import (
    OWNER,
    Clock,
    cancellation,
    claim,
    failure,
    history,
    names,
    success,
)
from rerunning import Run

from lazyengine import errors
from lazyengine.core.state import TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim, Rerun, Start

A_THEN_B: dict[str, Any] = {"a": {"on-success": "b"}, "b": None}


# -- a run is run again -----------------------------------------------------------------------------------------------


def test_it_runs_again_and_goes_on(engine: Engine) -> None:
    """The execution is RUNNING again and shows no end; the task has a new attempt, which is on offer."""
    run = Run(engine, A_THEN_B)
    assert claim(engine, key="k") == ["a"]
    run.fail("a")
    assert (run.state, run.execution.output is None, run.execution.finished_at is None) == ("FAILURE", False, False)
    answer = run.again("a")
    assert answer.execution == run.execution
    assert [(one.task, one.attempt) for one in answer.scheduled] == [("a", 2)]
    assert (answer.execution.state, answer.execution.info) == ("RUNNING", None)
    assert (answer.execution.output, answer.execution.finished_at) == (None, None)
    task = run.task("a")
    assert (task.state, task.attempt, task.failure, task.finished_at) == ("RUNNING", 2, None, None)
    assert (task.claimed_by, task.lease_expires_at) == (None, None), "whoever held the first attempt does not hold this"
    assert claim(engine, "w2") == ["a"]
    assert claim(engine, key="k") == [], "its claim was for the first attempt"
    run.done("a", "b")
    assert (run.state, run.execution.output) == ("SUCCESS", {})


def test_it_may_fail_again(engine: Engine, database: Database) -> None:
    run = Run(engine, A_THEN_B).fail("a")
    run.again("a")
    with pytest.raises(errors.TaskStaleAttempt):
        engine.complete_task(OWNER, run.id, success("a", attempt=1))
    run.fail("a", message="it broke again")
    assert (run.state, run.execution.info) == ("FAILURE", "Task 'a' failed: it broke again")
    assert run.execution.output == {"result": "Task 'a' failed: it broke again"}
    run.again("a")
    run.done("a", "b")
    states = [row["state"] for row in history(database, run.id) if row["kind"] == "execution"]
    assert states == ["RUNNING", "FAILURE", "RUNNING", "FAILURE", "RUNNING", "SUCCESS"]


def test_one_that_fails_at_once_ends_the_execution_again(engine: Engine) -> None:
    """In one transaction it leaves FAILURE and comes back to it, with the output of the new end."""
    run = Run(engine, {"a": {"action": "std.fail error_data=1"}}, output={"r": 1})
    answer = run.again("a")
    assert (answer.execution.state, answer.scheduled, run.task("a").attempt) == ("FAILURE", (), 2)
    assert answer.execution.output == {"result": answer.execution.info}
    assert answer.execution.finished_at is not None


def test_while_others_run(engine: Engine) -> None:
    run = Run(engine, {"a": None, "r": None}).fail("a")
    assert names(run.again("a").scheduled) == ["a"]
    assert run.done("a", "r").state == "SUCCESS"


def test_another_failure_still_counts(engine: Engine) -> None:
    run = Run(engine, {"a": None, "b": None}).fail("a", "b")
    run.again("a")
    assert run.done("a").state == "FAILURE"
    assert run.execution.info == "Tasks that failed: 1"
    run.again("b")
    assert run.done("b").state == "SUCCESS"


def test_a_cancelled_task_runs_again(engine: Engine) -> None:
    run = Run(engine, A_THEN_B)
    engine.complete_task(OWNER, run.id, cancellation("a"))
    assert run.state == "CANCELLED"
    with pytest.raises(errors.TaskNotFailed, match="FAILURE can be skipped"):
        run.again("a", skip=True)
    run.again("a")
    assert run.done("a", "b").state == "SUCCESS"


def test_a_run_that_is_not_the_newest(engine: Engine) -> None:
    run = Run(engine, {"a": {"on-success": "c"}, "b": {"on-success": "c"}, "c": {"on-success": "d"}, "d": None})
    run.done("a", "b")
    engine.complete_task(OWNER, run.id, failure("c", iteration=1))
    run.done("c", "d")
    with pytest.raises(errors.TaskNotFailed):
        run.again("c")
    with pytest.raises(errors.TaskNotFound):
        run.again("c", iteration=3)
    assert [(one.task, one.iteration, one.attempt) for one in run.again("c", iteration=1).scheduled] == [("c", 1, 2)]
    engine.complete_task(OWNER, run.id, success("c", iteration=1))
    assert run.states["d/2"] == "RUNNING"
    assert run.done("d").state == "SUCCESS"


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_run_again(engine: Engine) -> None:
    """Mistral does nothing, and says nothing, where the execution is paused."""
    run = Run(engine, {"a": {"on-error": "noop"}, "b": None, "c": {"on-success": "d"}, "d": None}).fail("a")
    for task in ("b", "d"):
        with pytest.raises(errors.TaskNotFailed):
            run.again(task)
    with pytest.raises(errors.TaskNotFound):
        run.again("x")
    run.steer("SUSPENDED")
    with pytest.raises(errors.ExecutionSuspended):
        run.again("a")
    run.done("b", "c").steer("RUNNING").done("d")
    with pytest.raises(errors.ExecutionSucceeded):
        run.again("a")
    with pytest.raises(errors.ExecutionNotFound):
        engine.rerun_task("mallory", run.id, Rerun("a"))


def test_a_join_that_never_ran(engine: Engine) -> None:
    """It cannot run before enough of the tasks that lead to it choose it; it can be skipped.  (Mistral runs it.)"""
    tasks = {"a": {"on-success": "j"}, "b": {"on-success": "j"}, "j": {"join": "all", "on-success": "k"}, "k": None}
    run = Run(engine, tasks).done("b").fail("a")
    with pytest.raises(errors.TaskBlocked, match="1 of the 2 tasks"):
        run.again("j")
    run.again("a")
    assert run.states["j"] == "PENDING"
    assert run.done("a", "j", "k").state == "SUCCESS"
    run = Run(engine, tasks).done("b").fail("a")
    run.again("a", skip=True)
    assert run.done("j", "k").state == "SUCCESS", "without on-skip, on-success follows"
    run = Run(engine, tasks).done("b").fail("a")
    assert names(run.again("j", skip=True).scheduled) == ["k"]
    assert run.done("k").state == "FAILURE", "a has failed all the same"


# -- skip -------------------------------------------------------------------------------------------------------------


def test_skip(engine: Engine) -> None:
    """on-skip follows, and on-complete does not."""
    tasks = {"a": {"on-success": "b", "on-complete": "c", "on-skip": "s"}, "b": None, "c": None, "s": None}
    run = Run(engine, tasks).fail("a").done("c")
    assert run.state == "FAILURE"
    assert names(run.again("a", skip=True).scheduled) == ["s"]
    assert run.states == {"a": "SKIPPED", "b": "PENDING", "c": "SUCCESS", "s": "RUNNING"}
    assert run.done("s").state == "SUCCESS"


def test_skip_of_the_last_task(engine: Engine) -> None:
    run = Run(engine, {"a": {"publish-on-skip": {"x": 1}}}, output={"x": "<% $.x %>"}).fail("a")
    answer = run.again("a", skip=True)
    assert (answer.execution.state, answer.execution.output, answer.scheduled) == ("SUCCESS", {"x": 1}, ())


# -- input ------------------------------------------------------------------------------------------------------------


def test_input_replaces_what_it_names(engine: Engine) -> None:
    """Claims, assignments and the task show it; the next rerun without an input has the task's own."""
    run = Run(engine, {"a": {"action": "x", "input": {"p": "<% 1 + 1 %>", "q": 3}}}).fail("a")
    assert run.again("a", input={"q": 4, "r": 5}).scheduled[0].input == {"p": 2, "q": 4, "r": 5}
    assert run.task("a").input == {"p": 2, "q": 4, "r": 5}
    (claimed,) = engine.claim_tasks(OWNER, Claim("w"))
    assert claimed.input == {"p": 2, "q": 4, "r": 5}
    run.fail("a")
    assert run.again("a").scheduled[0].input == {"p": 2, "q": 3}
    assert run.task("a").input == {"p": 2, "q": 3}


@pytest.mark.parametrize("policy", [{"wait-before": 5}, {"retry": {"count": 1, "delay": 5}}])
def test_input_lasts_until_the_end(timed: Engine, clock: Clock, policy: dict[str, Any]) -> None:
    """Over delays and over the attempts of a retry policy, also where the task's own input has no expressions."""
    run = Run(timed, {"a": {"action": "x", "input": {"p": 1}, **policy}})
    for _ in range(2):
        clock.advance(5)
        timed.fire_due()
        if run.state == "RUNNING":
            run.fail("a")
    assert run.state == "FAILURE"
    run.again("a", input={"p": 2})
    if "retry" in policy:
        run.fail("a")
    assert run.task("a").state is TaskState.DELAYED
    clock.advance(5)
    timed.fire_due()
    assert run.task("a").input == {"p": 2}
    assert timed.complete_task(OWNER, run.id, success("a")).task.input == {"p": 2}


def test_input_of_an_ad_hoc_action(engine: Engine) -> None:
    """It is given to the action that the task names, not to the one that this is based on."""
    adhoc = {"x": {"input": ["q"], "base": "y", "base-input": {"z": "<% $.q + 1 %>"}}}
    workflows = {"w": {"tasks": {"a": {"action": "x", "input": {"q": 1}}}}}
    definition = {"version": "2.0", "name": "b", "actions": adhoc, "workflows": workflows}
    id = engine.start_execution(OWNER, Start(definition, "d")).execution.id
    engine.complete_task(OWNER, id, failure("a"))
    assert engine.rerun_task(OWNER, id, Rerun("a")).scheduled[0].input == {"z": 2}
    engine.complete_task(OWNER, id, failure("a"))
    assert engine.rerun_task(OWNER, id, Rerun("a", input={"q": 6})).scheduled[0].input == {"z": 7}


# -- items ------------------------------------------------------------------------------------------------------------

ITEMS = {"a": {"with-items": "i in [1, 2, 3]", "action": "x", "input": {"n": "<% $.i %>"}, "concurrency": 2}}


@pytest.mark.parametrize("reset", [True, False])
def test_items(engine: Engine, reset: bool) -> None:
    """All items run again, or those that failed; the others keep their results."""
    run = Run(engine, ITEMS, output={"r": "<% task(a).result %>"}).item(0, "x0").item(1).item(2, "x2")
    assert run.state == "FAILURE"
    scheduled = [(one.item, one.attempt, one.input["n"]) for one in run.again("a", reset=reset).scheduled]
    assert scheduled == ([(0, 2, 1), (1, 2, 2)] if reset else [(1, 2, 2)])
    run.item(1)
    if reset:
        run.item(0, "y").item(2, "y")
    with pytest.raises(errors.TaskInputOfItems):
        run.again("a", input={})
    scheduled = [one.item for one in run.again("a", reset=False).scheduled]
    assert scheduled == [1]
    run.item(1, "z1")
    results = ["y", "z1", "y"] if reset else ["x0", "z1", "x2"]
    assert (run.state, run.execution.output) == ("SUCCESS", {"r": results})


def test_items_that_run_again_keep_to_the_concurrency(engine: Engine) -> None:
    run = Run(engine, ITEMS).item(0).item(1).item(2)
    assert [one.item for one in run.again("a", reset=False).scheduled] == [0, 1]
    assert run.task("a", item=2).state is TaskState.PENDING
    assert run.item(1, "y").task("a", item=2).state is TaskState.RUNNING
    assert run.item(0, "y").item(2, "y").state == "SUCCESS"


def test_a_timeout_holds_for_items_that_run_again(timed: Engine, clock: Clock) -> None:
    run = Run(timed, {"a": {**ITEMS["a"], "timeout": 9}}).item(0).item(1).item(2)
    run.again("a", reset=False)
    clock.advance(9)
    timed.fire_due()
    assert (run.task("a").state, run.task("a").info) == (TaskState.FAILURE, "Task timed out.")


def test_an_item_that_was_cancelled(engine: Engine) -> None:
    """It cancels the task; those that were under way still are when the task runs again without a reset."""
    run = Run(engine, ITEMS)
    engine.complete_task(OWNER, run.id, cancellation("a", item=0))
    assert run.state == "CANCELLED"
    assert claim(engine) == []
    assert [one.item for one in run.again("a", reset=False).scheduled] == [0]
    claimed = engine.claim_tasks(OWNER, Claim("w", limit=9))
    assert sorted((one.item, one.attempt) for one in claimed) == [(0, 2), (1, 1)]
    assert run.item(0, "y0").item(1, "y1").item(2, "y2").state == "SUCCESS"


# -- what stood still -------------------------------------------------------------------------------------------------


def test_what_was_taken_off_offer_is_on_offer_again(engine: Engine) -> None:
    """A cancelled execution takes its tasks off offer; who held one still does."""
    run = Run(engine, {"a": None, "r": {"on-success": "t"}, "h": None, "t": None}).fail("a")
    held = engine.claim_tasks(OWNER, Claim("w", limit=1))[0].task
    free = "r" if held == "h" else "h"
    run.steer("CANCELLED")
    assert claim(engine) == []
    run.again("a")
    assert sorted(claim(engine, "w2")) == sorted(["a", free])
    assert run.done("a", "r", "t", "h").state == "SUCCESS"


def test_a_delay_that_was_over_meanwhile(timed: Engine, clock: Clock) -> None:
    """It does not stand still for ever."""
    run = Run(timed, {"a": None, "d": {"wait-before": 5}}).fail("a").steer("CANCELLED")
    clock.advance(5)
    timed.fire_due()
    assert run.task("d").state is TaskState.DELAYED
    run.again("a")
    assert timed.fire_due() == 1
    assert run.done("a", "d").state == "SUCCESS"


def test_a_backlog_is_gone_on_with(engine: Engine) -> None:
    """What had ended while it was suspended is told once it runs again."""
    run = Run(engine, {"a": None, "b": {"on-success": "c"}, "c": None}).fail("a").steer("SUSPENDED").done("b")
    run.steer("CANCELLED").again("a")
    assert run.states["c"] == "RUNNING"
    assert run.done("a", "c").state == "SUCCESS"
