"""A task whose work is a workflow is done by an execution of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from driving import (
    OWNER,
    Clock,
    cancellation,
    claim,
    done,
    failure,
    history,
    names,
    new_id,
    state_of,
    success,
    task_states,
)
from nesting import CANCELLED, ONE, RUNNING, SUSPENDED, TWO, child, children, nest, states, steer

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db.database import Database
from lazyengine.db.store import Store
from lazyengine.engine import Engine
from lazyengine.records import ExecutionQuery, Heartbeat, Rerun, Start, Task
from lazyengine.settings import Settings


def result(engine: Engine, execution_id: str, task: str = "a") -> Task:
    return engine.get_task(OWNER, execution_id, task)


def test_its_end_completes_the_task_with_its_output(engine: Engine) -> None:
    v = {
        "input": ["x", {"y": 2}],
        "output": {"sum": "<% $.x + $.y + $.z %>"},
        "tasks": {"b": {"publish": {"z": "<% task().result %>"}}},
    }
    id = nest(engine, {"w": {"a": {"workflow": "v x=1", "publish": {"p": "<% task().result.sum %>"}}}, "v": v})
    lower = child(engine, id)
    assert task_states(engine, id) == {"a": "RUNNING"}
    assert engine.get_execution(OWNER, lower).input == {"x": 1, "y": 2}
    answer = engine.complete_task(OWNER, lower, success("b", 4))
    assert (answer.execution.id, answer.execution.state, answer.execution.output) == (lower, "SUCCESS", {"sum": 7})
    assert states(engine, id, lower) == ["SUCCESS", "SUCCESS"]
    assert result(engine, id).result == {"sum": 7}
    assert engine.get_execution(OWNER, id).output == {"p": 7}


def test_an_execution_and_the_one_that_it_works_for_are_seen_from_each_other(engine: Engine) -> None:
    tasks = {"w": {"a": {"workflow": "v"}}, "v": {"b": {"workflow": "u"}}, "u": {"c": None}}
    id = nest(engine, tasks)
    middle = child(engine, id)
    lowest = child(engine, middle, "b")
    assert [one.id for one in children(engine, id)] == [middle]
    found = engine.get_execution(OWNER, lowest)
    assert found.parent is not None
    assert (found.parent.execution_id, found.parent.task, found.parent.key) == (middle, "b", (0, 1))
    assert [engine.get_execution(OWNER, one).root_execution_id for one in (id, middle, lowest)] == [id] * 3
    assert engine.get_execution(OWNER, id).parent is None


def test_only_its_tasks_are_on_offer(engine: Engine) -> None:
    nest(engine, ONE)
    assert claim(engine) == ["b"]


def test_a_pure_one_ends_in_the_transaction_that_starts_it(engine: Engine) -> None:
    id = nest(engine, {"w": {"a": {"workflow": "v", "on-success": "z"}, "z": None}, "v": {"b": {"action": "std.noop"}}})
    assert task_states(engine, id) == {"a": "SUCCESS", "z": "RUNNING"}
    assert [one.state for one in children(engine, id)] == ["SUCCESS"]


def test_its_failure_is_that_of_the_task(engine: Engine) -> None:
    v = {"output-on-error": {"more": "<% $.x %>"}, "input": [{"x": 5}], "tasks": {"b": None}}
    task = {"workflow": "v", "on-error": "z", "publish-on-error": {"p": "<% task().result.more %>"}}
    id = nest(engine, {"w": {"a": task, "z": None}, "v": v})
    engine.complete_task(OWNER, child(engine, id), failure("b", "no luck"))
    found = result(engine, id)
    assert (found.state, found.published, found.result["more"]) == ("FAILURE", {"p": 5}, 5)
    assert found.failure is not None
    assert "no luck" in found.failure.message
    done(engine, id, "z")
    assert state_of(engine, id) == "SUCCESS"


def test_what_it_does_not_declare_becomes_its_params(engine: Engine) -> None:
    """And its target where it is a reverse workflow, whose graph depends on it."""
    v = {"type": "reverse", "input": ["x"], "tasks": {"b": None, "c": {"requires": ["b"]}, "d": None}}
    id = nest(engine, {"w": {"a": {"workflow": "v x=1 task_name='c' more=2"}}, "v": v})
    lower = engine.get_execution(OWNER, child(engine, id))
    assert (lower.input, lower.params) == ({"x": 1}, {"task_name": "c", "more": 2})
    done(engine, lower.id, "b", "c")
    assert states(engine, id) == ["SUCCESS"]


def test_it_has_the_environment_of_the_outermost(engine: Engine) -> None:
    v = {"output": {"found": "<% env().k %>"}, "tasks": {"b": {"action": "std.noop"}}}
    id = nest(engine, {"w": {"a": {"workflow": "v"}}, "v": v}, params={"env": {"k": "value"}})
    assert result(engine, id).result == {"found": "value"}


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("nowhere", "No workflow 'nowhere' is stored"),
        ("v", "'x' is missing"),
        ("<% $.name %>", "No workflow 'any' is stored"),
        ("w", "50 executions deep"),
        ("r", "it is reverse"),
    ],
)
def test_one_that_cannot_start_is_a_failure_that_can_be_handled(engine: Engine, call: str, reason: str) -> None:
    v = {"input": ["x"], "tasks": {"b": None}}
    w = {"input": [{"name": "any"}], "tasks": {"a": {"workflow": call, "on-error": "z"}, "z": None}}
    id = nest(engine, {"w": w, "v": v, "r": {"type": "reverse", "tasks": {"b": None}}})
    lowest = id
    while lower := children(engine, lowest):
        lowest = lower[0].id
    found = result(engine, lowest)
    assert found.state == "FAILURE"
    assert found.info is not None
    assert reason in found.info
    assert task_states(engine, lowest)["z"] == "RUNNING"
    assert (lowest == id) is (call != "w")


def test_an_input_that_cannot_be_evaluated_fails_the_execution(engine: Engine) -> None:
    """As that of an action does."""
    id = nest(engine, {"w": {"a": {"workflow": "<% $.none %>", "on-error": "z"}, "z": None}, "v": {"b": None}})
    assert states(engine, id) == ["FAILURE"]
    assert task_states(engine, id)["z"] == "PENDING"


def test_it_is_found_in_its_definition_then_in_its_namespace_then_in_the_default_one(engine: Engine) -> None:
    def stored(name: str, value: str, namespace: str = "") -> None:
        tasks = {"b": {"action": f"std.echo output='{value}'"}}
        engine.store_workflows(OWNER, {name: {"tasks": tasks, "output": {"r": "<% task(b).result %>"}}}, namespace)

    for name in ("here", "mine", "theirs"):
        stored(name, f"default {name}")
    for name in ("here", "mine"):
        stored(name, f"special {name}", "special")
    here = {"output": {"r": "definition"}, "tasks": {"b": {"action": "std.noop"}}}
    tasks = {name: {"workflow": name} for name in ("here", "mine", "theirs")}
    engine.store_workflows(OWNER, {"w": {"tasks": tasks}, "book": {"tasks": {"a": None}}, "here": here}, "other")
    engine.store_workflows(OWNER, {"top": {"tasks": {"a": {"workflow": "w"}}}, "w": {"tasks": tasks}}, "special")
    id = engine.start_execution(OWNER, Start(None, "d", "top", namespace="special")).execution.id
    lower = child(engine, id)
    found = {name: result(engine, lower, name).result["r"] for name in tasks}
    assert found == {"here": "special here", "mine": "special mine", "theirs": "default theirs"}
    id = nest(engine, {"w": tasks, "here": here})
    assert result(engine, id, "here").result == {"r": "definition"}


def test_a_workbook_knows_its_own_by_their_short_names(engine: Engine) -> None:
    book = {"name": "book", "workflows": {"w": {"tasks": {"a": {"workflow": "v"}}}, "v": {"tasks": {"b": None}}}}
    id = engine.start_execution(OWNER, Start(book, "d", "book.w")).execution.id
    assert engine.get_execution(OWNER, child(engine, id)).workflow == "book.v"


def test_it_is_found_when_its_definition_is_not_stored_any_more(engine: Engine) -> None:
    """What runs keeps the definition that it may still need."""
    reverse = {"type": "reverse", "tasks": {"b": None}}
    w = {"tasks": {"s": {"on-success": "a"}, "a": {"workflow": "v task_name=b"}}}
    engine.store_workflows(OWNER, {"w": w, "v": reverse})
    id = engine.start_execution(OWNER, Start(None, "d", "w")).execution.id
    for name in ("w", "v"):
        engine.delete_workflow(OWNER, name)
    done(engine, id, "s")
    done(engine, child(engine, id), "b")
    assert states(engine, id) == ["SUCCESS"]


def test_expressions_see_the_whole_tree(engine: Engine) -> None:
    found = {
        "ids": "<% executions().id %>",
        "above": "<% executions(id => $.top).task_execution_id %>",
        "below": "<% executions(rootExecutionId => $.top).where($.state = SUCCESS).workflow_name %>",
        "tasks": "<% tasks($.top, true).select([$.name, $.type, $.state]) %>",
        "flat": "<% tasks($.top, true, SUCCESS, true).name %>",
        "own": "<% task(b) = null %>",
    }
    publish = {"top": "<% execution().id %>", "root": "<% execution().root_execution_id %>"}
    w = {"output": found, "tasks": {"a": {"workflow": "v", "publish": publish}}}
    id = nest(engine, {"w": w, "v": {"b": None}})
    lower = child(engine, id)
    done(engine, lower, "b")
    assert engine.get_execution(OWNER, id).output == {
        "ids": [id, lower],
        "above": [None],
        "below": ["v"],
        "tasks": [["a", "WORKFLOW", "SUCCESS"], ["b", "ACTION", "SUCCESS"]],
        "flat": ["b"],
        "own": True,
    }


# -- items, retries, time ---------------------------------------------------------------------------------------------


def test_each_item_has_an_execution_of_its_own(engine: Engine) -> None:
    v = {"input": ["x"], "output": {"r": "<% $.x %>"}, "tasks": {"b": None}}
    task = {"with-items": "i in [1, 2, 3]", "workflow": "v x=<% $.i %>", "concurrency": 2}
    id = nest(engine, {"w": {"a": task}, "v": v})
    assert [one.input for one in children(engine, id)] == [{"x": 1}, {"x": 2}]
    second = child(engine, id, item=1)
    done(engine, second, "b")
    assert [one.parent.item for one in children(engine, id) if one.parent] == [0, 1, 2]
    for item in (2, 0):
        done(engine, child(engine, id, item=item), "b")
    assert result(engine, id).result == [{"r": 1}, {"r": 2}, {"r": 3}]
    assert states(engine, id) == ["SUCCESS"]


def test_another_attempt_has_another_execution(engine: Engine, database: Database) -> None:
    """And what becomes of the first one then is kept in the history only."""
    id = nest(engine, {"w": {"a": {"workflow": "v", "retry": {"count": 1, "delay": 0}}}, "v": {"b": None, "c": None}})
    first = child(engine, id)
    engine.complete_task(OWNER, first, failure("b"))
    engine.complete_task(OWNER, first, failure("c"))
    second = child(engine, id)
    assert (second != first, result(engine, id).attempt) == (True, 2)
    done(engine, second, "b", "c")
    assert states(engine, id, first, second) == ["SUCCESS", "FAILURE", "SUCCESS"]
    assert [row["attempt"] for row in history(database, id) if row["state"] == "RUNNING" and row["attempt"]] == [1, 2]


def test_its_end_is_kept_in_the_history_when_the_task_has_timed_out(
    timed: Engine, clock: Clock, database: Database
) -> None:
    """A run whose execution was suspended does not count as one that sleeps any more."""
    id = nest(timed, {"w": {"a": {"workflow": "v", "timeout": 5, "on-error": "z"}, "z": None}, "v": {"b": None}})
    lower = child(timed, id)
    steer(timed, lower, SUSPENDED)
    steer(timed, id, RUNNING)
    clock.advance(6)
    assert timed.fire_due() == 1
    assert task_states(timed, id) == {"a": "FAILURE", "z": "RUNNING"}
    done(timed, lower, "b")
    late = [row for row in history(database, id) if row["kind"] == "late_result"]
    assert [row["late"]["state"] for row in late] == ["SUCCESS"]
    assert task_states(timed, id)["a"] == "FAILURE"


def test_no_more_are_started_in_one_transaction_than_it_may(database: Database, settings: Settings) -> None:
    small = Engine(database, replace(settings, steps_per_transaction=50))
    task = {"with-items": "i in <% range(23) %>", "workflow": "v"}
    id = nest(small, {"w": {"a": task, "s": {"on-success": "t"}, "t": {"workflow": "v"}}, "v": {"b": None}})
    assert len(children(small, id)) == 23
    for one in children(small, id):
        done(small, one.id, "b")
    done(small, id, "s")
    done(small, child(small, id, "t"), "b")
    assert states(small, id) == ["SUCCESS"]


# -- suspended, resumed, cancelled, deleted ---------------------------------------------------------------------------


def test_those_below_are_suspended_and_resumed_with_it(engine: Engine) -> None:
    deep = {"w": {"a": {"workflow": "v"}}, "v": {"b": {"workflow": "u"}}, "u": {"c": {"on-success": "d"}, "d": None}}
    id = nest(engine, deep)
    middle = child(engine, id)
    lowest = child(engine, middle, "b")
    steer(engine, id, SUSPENDED)
    assert states(engine, id, middle, lowest) == ["SUSPENDING"] * 3
    done(engine, lowest, "c")
    assert states(engine, id, middle, lowest) == ["SUSPENDED"] * 3
    assert claim(engine) == []
    steer(engine, id, RUNNING)
    assert states(engine, id, middle, lowest) == ["RUNNING"] * 3
    done(engine, lowest, "d")
    assert states(engine, id, middle, lowest) == ["SUCCESS"] * 3


def test_one_that_is_suspended_suspends_those_above_until_none_is(engine: Engine) -> None:
    id = nest(engine, TWO)
    first, second = child(engine, id), child(engine, id, "c")
    for one in (first, second):
        steer(engine, one, SUSPENDED)
    assert states(engine, id, first, second) == ["SUSPENDING"] * 3
    steer(engine, first, RUNNING)
    assert states(engine, id, first, second) == ["SUSPENDING", "RUNNING", "SUSPENDING"]
    steer(engine, second, RUNNING)
    assert states(engine, id) == ["RUNNING"]
    for one in (first, second):
        done(engine, one, "b")
    assert states(engine, id) == ["SUCCESS"]


def test_one_that_pauses_itself_suspends_those_above(engine: Engine) -> None:
    v = {"b": {"action": "std.noop", "on-success": ["pause", "c"]}, "c": None}
    id = nest(engine, {"w": {"a": {"workflow": "v"}}, "v": v})
    lower = child(engine, id)
    assert states(engine, id, lower) == ["SUSPENDED", "SUSPENDED"]
    steer(engine, id, RUNNING)
    assert states(engine, id, lower) == ["RUNNING", "RUNNING"]
    done(engine, lower, "c")
    assert states(engine, id, lower) == ["SUCCESS", "SUCCESS"]


def test_a_pause_of_a_task_suspends_those_below(engine: Engine) -> None:
    id = nest(engine, {"w": {"a": {"workflow": "v"}, "s": {"on-success": ["pause"]}}, "v": {"b": None}})
    done(engine, id, "s")
    assert states(engine, id, child(engine, id)) == ["SUSPENDING", "SUSPENDING"]


def test_those_below_are_cancelled_with_it(engine: Engine) -> None:
    id = nest(engine, {"w": {"a": {"workflow": "v"}}, "v": {"b": {"workflow": "u"}}, "u": {"c": None}})
    middle = child(engine, id)
    lowest = child(engine, middle, "b")
    steer(engine, id, CANCELLED)
    assert states(engine, id, middle, lowest) == ["CANCELLED"] * 3
    assert [task_states(engine, one) for one in (id, middle)] == [{"a": "CANCELLED"}, {"b": "CANCELLED"}]
    assert claim(engine) == []


def test_a_cancelled_one_cancels_the_task_and_those_above_at_their_end(engine: Engine) -> None:
    id = nest(engine, TWO)
    steer(engine, child(engine, id), CANCELLED)
    assert task_states(engine, id) == {"a": "CANCELLED", "c": "RUNNING"}
    done(engine, child(engine, id, "c"), "b")
    assert states(engine, id) == ["CANCELLED"]


def test_those_below_go_on_when_it_fails(engine: Engine) -> None:
    id = nest(engine, {"w": {"a": {"workflow": "v"}, "s": {"on-success": "fail"}}, "v": {"b": None}})
    done(engine, id, "s")
    lower = child(engine, id)
    assert states(engine, id, lower) == ["FAILURE", "RUNNING"]
    done(engine, lower, "b")
    assert states(engine, id, lower) == ["FAILURE", "SUCCESS"]
    assert task_states(engine, id)["a"] == "SUCCESS"


@pytest.mark.parametrize("wish", [SUSPENDED, CANCELLED])
def test_those_below_follow_when_the_process_died_in_between(engine: Engine, wish: ExecutionState) -> None:
    id = nest(engine, {"w": {"a": {"workflow": "v"}}, "v": {"b": {"workflow": "u"}}, "u": {"c": None}})
    middle = child(engine, id)
    lowest = child(engine, middle, "b")

    class Dying(Engine):
        def carry_on(self, *args: Any, **more: Any) -> None:
            """The process dies here."""

    dying = Dying(engine.database, engine.settings)
    steer(dying, id, wish)
    assert states(engine, middle, lowest) == ["RUNNING", "RUNNING"]
    Engine.carry_on(dying, OWNER, id, seconds=0)
    engine.carry_on_everywhere()
    expected = "CANCELLED" if wish is CANCELLED else "SUSPENDING"
    assert states(engine, id, middle, lowest) == [expected] * 3
    assert engine.database.snapshot(lambda store: store.noted(10)) == []


def test_they_follow_the_state_that_it_is_in_by_then(engine: Engine) -> None:
    """A wish that was overtaken by another one changes nothing."""

    class Forgetful(Engine):
        def carry_on(self, *args: Any, **more: Any) -> None:
            """Nobody is there to do it."""

    forgetful = Forgetful(engine.database, engine.settings)
    id = nest(engine, ONE)
    steer(forgetful, id, SUSPENDED)
    steer(forgetful, id, RUNNING)
    engine.carry_on_everywhere()
    assert states(engine, id, child(engine, id)) == ["RUNNING", "RUNNING"]
    assert engine.database.snapshot(lambda store: store.noted(10)) == []


def test_all_below_are_deleted_with_it(engine: Engine) -> None:
    id = nest(engine, {"w": {"a": {"workflow": "v"}}, "v": {"b": {"workflow": "u"}}, "u": {"c": None}})
    with pytest.raises(errors.ExecutionNotFinished):
        engine.delete_execution(OWNER, id)
    engine.delete_execution(OWNER, id, force=True)
    assert engine.list_executions(OWNER, ExecutionQuery()).items == ()


def test_one_that_is_deleted_cancels_its_task(engine: Engine) -> None:
    id = nest(engine, ONE)
    engine.delete_execution(OWNER, child(engine, id), force=True)
    assert (states(engine, id), result(engine, id).state) == (["CANCELLED"], "CANCELLED")


def test_one_goes_on_when_those_above_are_gone(engine: Engine, database: Database) -> None:
    id = nest(engine, ONE)
    lower = child(engine, id)
    with database.engine.begin() as connection:
        Store(connection).delete_execution(id)
    done(engine, lower, "b")
    assert states(engine, lower) == ["SUCCESS"]


# -- what callers may not do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", [success, failure, cancellation])
def test_nobody_else_completes_its_task(engine: Engine, report: Callable[..., Any]) -> None:
    id = nest(engine, ONE)
    with pytest.raises(errors.TaskRunsWorkflow, match=child(engine, id)):
        engine.complete_task(OWNER, id, report("a"))
    with pytest.raises(errors.TaskRunsWorkflow):
        engine.heartbeat(OWNER, id, Heartbeat("a"))
    assert states(engine, id) == ["RUNNING"]


def test_its_id_cannot_be_taken_by_a_start(engine: Engine) -> None:
    id = nest(engine, ONE)
    with pytest.raises(errors.ExecutionIdInUse):
        nest(engine, ONE, id=child(engine, id))


def test_a_start_is_repeated_as_any(engine: Engine) -> None:
    id = new_id()
    assert nest(engine, ONE, id=id) == nest(engine, ONE, id=id)
    assert len(children(engine, id)) == 1


def test_a_start_hands_out_no_work_that_an_execution_does(engine: Engine) -> None:
    definition = {"w": {"tasks": {"a": {"workflow": "v"}, "s": None}}, "v": {"tasks": {"b": None}}}
    started = engine.start_execution(OWNER, Start(definition, "d", "w"))
    assert names(started.scheduled) == ["s"]


# -- run again --------------------------------------------------------------------------------------------------------


def rerun(engine: Engine, execution_id: str, task: str, **how: Any) -> None:
    engine.rerun_task(OWNER, execution_id, Rerun(task, **how))


@pytest.mark.parametrize("end", [failure, cancellation])
def test_those_above_go_on_with_one_that_is_run_again(engine: Engine, end: Callable[..., Any]) -> None:
    """Each from where it was, as if nothing had failed; what it said of the failure is forgotten."""
    deep = {
        "w": {"a": {"workflow": "v", "on-success": "z"}, "z": None},
        "v": {"b": {"workflow": "u"}},
        "u": {"c": None},
    }
    id = nest(engine, deep)
    middle = child(engine, id)
    lowest = child(engine, middle, "b")
    engine.complete_task(OWNER, lowest, end("c"))
    assert states(engine, id, middle, lowest) == [end("c").outcome.state.value] * 3
    rerun(engine, lowest, "c")
    assert states(engine, id, middle, lowest) == ["RUNNING"] * 3
    found = result(engine, id)
    assert (found.state, found.failure, found.result, found.attempt) == ("RUNNING", None, None, 1)
    assert child(engine, id) == middle
    engine.complete_task(OWNER, lowest, success("c", 1))
    found = result(engine, id)
    assert (found.state, found.failure) == ("SUCCESS", None)
    done(engine, id, "z")
    assert states(engine, id, middle, lowest) == ["SUCCESS"] * 3


def test_its_task_may_be_run_again_instead(engine: Engine) -> None:
    """Then another execution does the work; what becomes of the first one is kept in the history only."""
    id = nest(engine, ONE)
    first = child(engine, id)
    engine.complete_task(OWNER, first, failure("b"))
    rerun(engine, id, "a")
    second = child(engine, id)
    assert second != first
    rerun(engine, first, "b")
    done(engine, first, "b")
    assert states(engine, id, first, second) == ["RUNNING", "SUCCESS", "RUNNING"]
    done(engine, second, "b")
    assert task_states(engine, id) == {"a": "SUCCESS", "z": "RUNNING"}


def test_an_item_goes_on_with_its_execution(engine: Engine) -> None:
    v = {"input": ["x"], "output": {"r": "<% $.x %>"}, "tasks": {"b": None}}
    id = nest(engine, {"w": {"a": {"with-items": "i in [1, 2, 3]", "workflow": "v x=<% $.i %>"}}, "v": v})
    lower = [child(engine, id, item=item) for item in range(3)]
    engine.complete_task(OWNER, lower[0], failure("b"))
    rerun(engine, lower[0], "b")
    engine.complete_task(OWNER, lower[1], failure("b"))
    for one in (lower[2], lower[0]):
        done(engine, one, "b")
    assert (state_of(engine, id), result(engine, id).state) == ("FAILURE", "FAILURE")
    rerun(engine, lower[1], "b")
    items = result(engine, id).items
    assert items is not None
    assert (items.total, items.done, items.failed) == (3, 2, 0)
    done(engine, lower[1], "b")
    assert result(engine, id).result == [{"r": 1}, {"r": 2}, {"r": 3}]
    assert state_of(engine, id) == "SUCCESS"


def test_those_above_stay_as_they_are_when_they_have_succeeded(engine: Engine) -> None:
    """Its failure had been handled, so nothing waits for it."""
    id = nest(engine, {"w": {"a": {"workflow": "v", "on-error": "noop"}}, "v": {"b": None}})
    lower = child(engine, id)
    engine.complete_task(OWNER, lower, failure("b"))
    assert states(engine, id) == ["SUCCESS"]
    rerun(engine, lower, "b")
    done(engine, lower, "b")
    assert states(engine, id, lower) == ["SUCCESS", "SUCCESS"]
    assert result(engine, id).state == "FAILURE"


def test_failed_items_have_new_executions_when_their_task_is_run_again(engine: Engine) -> None:
    id = nest(engine, {"w": {"a": {"with-items": "i in [1, 2]", "workflow": "v"}}, "v": {"b": None}})
    lower = [child(engine, id, item=item) for item in range(2)]
    engine.complete_task(OWNER, lower[0], failure("b"))
    done(engine, lower[1], "b")
    rerun(engine, id, "a", reset=False)
    assert child(engine, id, item=0) not in lower
    assert child(engine, id, item=1) == lower[1]
    done(engine, child(engine, id, item=0), "b")
    assert states(engine, id) == ["SUCCESS"]
