"""What the failure of a task had led to, and what it had published, once it runs again.

What is asserted of ends and outputs was seen in Mistral's own engine, but where a docstring says otherwise.
"""

from typing import Any

import pytest
from driving import OWNER, done, failure, state_of
from rerunning import Run

from lazyengine.core.state import Outcome, TaskState
from lazyengine.engine import Engine
from lazyengine.records import Report, Rerun, Start

# -- what its failure led to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [{"on-success": "fail"}, {"on-complete": "fail"}])
def test_a_handler_runs_again(engine: Engine, handler: dict[str, Any]) -> None:
    """As a new attempt.  (In Mistral as another execution of the task.)"""
    run = Run(engine, {"a": {"on-error": "h", "on-success": "b"}, "h": handler, "b": None}).fail("a").done("h")
    assert run.state == "FAILURE"
    run.again("a")
    run.fail("a")
    assert (run.states["h"], run.task("h").attempt) == ("RUNNING", 2)
    run.done("h")
    assert run.state == "FAILURE"
    run.again("a")
    run.done("a")
    assert run.states == {"a": "SUCCESS", "h": "SUCCESS", "b": "RUNNING"}
    assert run.done("b").state == "SUCCESS"


def test_fail_as_a_handler(engine: Engine) -> None:
    run = Run(engine, {"a": {"on-error": "fail", "on-success": "b"}, "b": None}).fail("a")
    assert run.state == "FAILURE"
    run.again("a")
    assert run.done("a", "b").state == "SUCCESS"


def test_a_handler_that_is_under_way_is_not_started_again(engine: Engine) -> None:
    """Mistral starts it beside the other."""
    run = Run(engine, {"a": {"on-error": "h"}, "h": None}).fail("a")
    run.again("a")
    run.fail("a")
    assert run.task("h").attempt == 1
    assert run.done("h").state == "SUCCESS"


def test_a_join_below_hears_of_each_link_once(engine: Engine) -> None:
    """The handler leads to a join: its second end is no second token."""
    tasks = {
        "a": {"on-error": "h"},
        "h": {"on-success": ["j", "f"]},
        "f": {"on-complete": "fail"},
        "x": {"on-success": "j"},
        "j": {"join": "all"},
    }
    run = Run(engine, tasks).fail("a").done("h", "f")
    run.again("a")
    run.fail("a").done("h")
    assert run.states["j"] == "PENDING"
    run.done("x")
    assert run.states["j"] == "RUNNING"


LOOP: dict[str, Any] = {
    "s": {"on-success": "a"},
    "a": {"on-success": ["x", "y"]},
    "x": {"on-success": "j"},
    "y": {"on-success": "j"},
    "j": {"join": "all", "publish": {"n": 1}, "on-success": [{"a": "<% false %>"}, "e"]},
    "b": {"on-success": "e"},
    "e": {"join": "all"},
}


def test_a_loop_that_had_come_to_rest(engine: Engine) -> None:
    """A task in it runs again: the joins in it and behind it that had failed have not."""
    run = Run(engine, LOOP).done("s", "a", "b", "x").fail("y")
    assert (run.states["j"], run.states["e"], run.state) == ("FAILURE", "FAILURE", "FAILURE")
    run.again("y")
    assert run.states["e"] == "PENDING"
    assert run.states["j"] == "PENDING"
    assert run.done("y", "j", "e").state == "SUCCESS"


def test_a_join_in_a_loop_that_is_skipped(engine: Engine) -> None:
    run = Run(engine, LOOP).done("s", "a", "b", "x").fail("y")
    run.again("j", skip=True)
    assert run.states["j"] == "SKIPPED"
    assert run.done("e").state == "FAILURE", "y has failed all the same"


def test_a_task_before_a_loop(engine: Engine) -> None:
    run = Run(engine, LOOP).done("b").fail("s")
    assert run.states["e"] == "FAILURE"
    run.again("s")
    assert run.done("s", "a", "x", "y", "j", "e").state == "SUCCESS"


# -- data -------------------------------------------------------------------------------------------------------------


def test_the_variables_of_the_end(engine: Engine) -> None:
    """A task that ended the execution and then leads on is no end any more; another end stays one."""
    tasks = {
        "a": {"publish": {"s": 2}, "on-success": "b"},
        "b": {"publish": {"t": 3}},
        "z": {"publish": {"z": 4}},
    }
    run = Run(engine, tasks).done("z").fail("a")
    run.again("a")
    run.done("a", "b")
    assert run.execution.output == {"z": 4, "s": 2, "t": 3}


def test_what_it_published_as_it_failed_is_taken_back(engine: Engine) -> None:
    """(In Mistral only if it publishes something else.)"""
    tasks: dict[str, Any] = {
        "s": {"publish": {"v": 0}, "on-success": "a"},
        "a": {"publish-on-error": {"e": 1, "v": 1}, "publish": {"s": "<% $.v %>"}, "on-success": "b"},
        "b": {"publish": {"t": 3}},
    }
    run = Run(engine, tasks).done("s").fail("a")
    assert run.task("a").published == {"e": 1, "v": 1}
    run.again("a")
    assert run.task("a").published == {}
    run.fail("a").again("a")
    run.done("a", "b")
    assert run.execution.output == {"v": 0, "s": 0, "t": 3}


def test_a_join_that_failed_hears_on(engine: Engine) -> None:
    """What chose it after it had failed is among its variables when it runs after all."""
    tasks = {name: {"publish": {name: 1}, "on-success": "j"} for name in "abc"}
    run = Run(engine, {**tasks, "j": {"join": "all", "publish-on-error": {"e": 1}}})
    run.done("a").fail("b")
    assert run.states["j"] == "FAILURE"
    run.done("c").again("b")
    run.done("b", "j")
    output = run.execution.output
    assert (run.state, {name: output[name] for name in "abc"}) == ("SUCCESS", dict.fromkeys("abc", 1))


def test_what_a_handler_published_the_first_time(engine: Engine) -> None:
    """Its second end takes the place of its first."""
    tasks = {
        "a": {
            "action": "x",
            "input": {"n": "<% 1 %>"},
            "publish-on-error": {"e": "<% task().result %>"},
            "on-error": "h",
        },
        "h": {"publish": {"h": "<% $.e + 1 %>"}, "on-complete": "f"},
        "f": {"on-complete": "fail", "publish": {"f": "<% $.h %>"}},
    }
    run = Run(engine, tasks)
    for number in (1, 5):
        if number > 1:
            run.again("a")
        engine.complete_task(OWNER, run.id, Report("a", Outcome(TaskState.FAILURE, number)))
        run.done("h", "f")
    output = run.execution.output
    assert {name: output[name] for name in "ehf"} == {"e": 5, "h": 6, "f": 6}


def test_a_reverse_workflow(engine: Engine) -> None:
    tasks = {"a": {"publish": {"v": 1}}, "b": {"requires": "a"}, "c": None, "d": {"requires": ["b", "c"]}}
    definition = {"version": "2.0", "w": {"type": "reverse", "output": {"v": "<% $.v %>"}, "tasks": tasks}}
    id = engine.start_execution(OWNER, Start(definition, "d", params={"task_name": "d"})).execution.id
    done(engine, id, "c")
    engine.complete_task(OWNER, id, failure("a"))
    assert state_of(engine, id) == "FAILURE"
    engine.rerun_task(OWNER, id, Rerun("a"))
    done(engine, id, "a", "b", "d")
    execution = engine.get_execution(OWNER, id)
    assert (execution.state, execution.output) == ("SUCCESS", {"v": 1})


def test_a_task_whose_work_is_a_workflow(engine: Engine) -> None:
    """Another execution does its work, with the input that was given; the first one stays as it ended."""
    lower = {"input": ["p"], "output": {"r": "<% $.p %>"}, "tasks": {"x": None}}
    upper = {"tasks": {"a": {"workflow": "v", "input": {"p": 1}, "on-success": "b"}, "b": None}}
    start = Start({"version": "2.0", "v": lower, "w": upper}, "d", workflow="w")
    id = engine.start_execution(OWNER, start).execution.id
    first = engine.get_task(OWNER, id, "a").child_execution_id
    engine.complete_task(OWNER, first or "", failure("x"))
    assert state_of(engine, id) == "FAILURE"
    engine.rerun_task(OWNER, id, Rerun("a", input={"p": 2}))
    second = engine.get_task(OWNER, id, "a").child_execution_id
    assert second not in (None, first)
    assert state_of(engine, first or "") == "FAILURE"
    done(engine, second or "", "x")
    assert engine.get_task(OWNER, id, "a").result == {"r": 2}
    done(engine, id, "b")
    assert state_of(engine, id) == "SUCCESS"
