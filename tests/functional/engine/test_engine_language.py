"""What policies, items, loops, reverse workflows and ad-hoc actions come to, on each kind of database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from driving import OWNER

from lazyengine import errors
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, Failure, Outcome, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim, Execution, Report, Start, Task, TaskQuery
from lazyengine.settings import Settings

SUCCESS, FAILURE = TaskState.SUCCESS, TaskState.FAILURE


class Clocked:
    """An engine whose time passes when a test says so."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.engine = Engine(database, settings, clock=lambda: self.now)
        self.id = ""

    def start(self, text: str, **params: Any) -> Execution:
        params = {"default_action": "std.noop", **params}
        self.id = self.engine.start_execution(OWNER, Start(text, "d", params=params)).execution.id
        return self.execution()

    def execution(self) -> Execution:
        return self.engine.get_execution(OWNER, self.id)

    def task(self, name: str, iteration: int | None = None, item: int | None = None) -> Task:
        return self.engine.get_task(OWNER, self.id, name, iteration, item)

    def end(self, name: str, state: TaskState = SUCCESS, result: Any = None, **which: Any) -> None:
        failure = Failure("test", "it broke") if state is FAILURE else None
        self.engine.complete_task(OWNER, self.id, Report(name, Outcome(state, result, failure), **which))

    def pass_time(self, seconds: float) -> int:
        self.now += timedelta(seconds=seconds)
        return self.engine.fire_due()

    def claim(self, limit: int = 100) -> list[tuple[str, int | None, int]]:
        claimed = self.engine.claim_tasks(OWNER, Claim("w", limit=limit))
        return sorted((one.task, one.item, one.attempt) for one in claimed if one.execution_id == self.id)

    def run(self, text: str, seconds: int = 20, **params: Any) -> Execution:
        """Start and let time pass until it is over."""
        execution = self.start(text, **params)
        while execution.state not in FINAL_EXECUTION_STATES and seconds:
            seconds -= 1
            self.pass_time(1)
            execution = self.execution()
        return execution


@pytest.fixture
def clocked(database: Database, engine: Engine) -> Clocked:
    return Clocked(database, engine.settings)


FINISHED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "items-result-order": (
        "w: {input: [{l: [3, 1, 2]}], output: {r: <% task(a).result %>}, tasks: {a: {with-items: i in <% $.l %>, "
        "action: std.echo output=<% $.i * 2 %>}}}",
        {},
        {"r": [6, 2, 4]},
    ),
    "items of two lists": (
        "w: {output: {r: <% task(a).result %>}, tasks: {a: {with-items: ['i in [1, 2]', 'j in [\"x\", \"y\"]'], "
        "action: std.echo output='<% $.i %><% $.j %>'}}}",
        {},
        {"r": ["1x", "2y"]},
    ),
    "items-empty": (
        "w: {output: {r: <% task(a).result %>}, tasks: {a: {with-items: 'i in <% [] %>'}}}",
        {},
        {"r": []},
    ),
    "retry-sees-own-publish": (
        "w: {vars: {n: 0}, output: {n: <% $.n %>}, tasks: {a: {publish: {n: <% $.n + 1 %>}, "
        "retry: {count: 9, delay: 1, continue-on: <% $.n < 4 %>}}}}",
        {},
        {"n": 4},
    ),
    "keep-result-false": (
        "w: {output: {r: <% task(a).result %>, p: <% $.p %>}, tasks: {a: {action: std.echo output=1, "
        "keep-result: false, publish: {p: <% task().result %>}}}}",
        {},
        {"r": None, "p": 1},
    ),
    "cycle": (
        "w: {vars: {n: 0}, output: {n: <% $.n %>}, tasks: {s: {on-success: a}, a: {publish: {n: <% $.n + 1 %>}, "
        "on-success: [{a: <% $.n < 40 %>}, {b: <% $.n >= 40 %>}]}, b: {}}}",
        {},
        {"n": 40},
    ),
    "a join in a loop": (
        "w: {vars: {n: 0}, output: {n: <% $.n %>}, tasks: {s: {on-success: a}, a: {publish: {n: <% $.n + 1 %>}, "
        "on-success: [x, y]}, x: {on-success: j}, y: {on-success: j}, "
        "j: {join: all, on-success: [{a: <% $.n < 5 %>}, {b: <% $.n >= 5 %>}]}, b: {}}}",
        {},
        {"n": 5},
    ),
    "reverse-context": (
        "w: {type: reverse, output: {r: <% $.v %>}, tasks: {a: {action: std.echo output=7, "
        "publish: {v: <% task().result %>}}, b: {requires: a}, c: {action: std.fail}}}",
        {"task_name": "b"},
        {"r": 7},
    ),
    "ad-hoc action": (
        "{version: '2.0', name: wb, actions: {x: {input: [q, {r: 3}], base: std.echo, "
        "base-input: {output: <% $.q + $.r %>}, output: {z: <% $ %>}}}, "
        "workflows: {w: {output: {r: <% task(a).result %>}, tasks: {a: {action: x q=4}}}}}",
        {},
        {"r": {"z": 7}},
    ),
    "action by expression": (
        "w: {vars: {n: std.echo}, output: {r: <% task(a).result %>}, tasks: {a: {action: <% $.n %> output=5}}}",
        {},
        {"r": 5},
    ),
}


@pytest.mark.parametrize("name", FINISHED)
def test_what_it_puts_out(clocked: Clocked, name: str) -> None:
    """The facts of Mistral's behaviour of this name, and what has none."""
    text, params, output = FINISHED[name]
    execution = clocked.run(text, **params)
    assert (execution.state, execution.output) == (ExecutionState.SUCCESS, output), execution.info


def test_items_concurrency(clocked: Clocked) -> None:
    """At most two are under way at a time; a failed item does not stop the next ones, but fails the task."""
    clocked.start("w: {tasks: {a: {action: x, with-items: 'i in [1, 2, 3, 4]', concurrency: 2, on-error: noop}}}")
    assert clocked.claim() == [("a", 0, 1), ("a", 1, 1)]
    clocked.end("a", FAILURE, item=1)
    assert clocked.claim() == [("a", 2, 1)]
    clocked.end("a", result="zero", item=0)
    assert clocked.claim() == [("a", 3, 1)]
    clocked.end("a", result="three", item=3)
    task = clocked.task("a")
    assert task.items is not None
    assert (task.items.total, task.items.done, task.items.failed) == (4, 3, 1)
    clocked.end("a", result="two", item=2)
    assert clocked.task("a").state is FAILURE
    assert clocked.task("a").result == ["zero", "it broke", "two", "three"]
    assert clocked.task("a", item=1).state is FAILURE
    assert clocked.execution().state is ExecutionState.SUCCESS


def test_the_report_of_an_item_may_be_repeated(clocked: Clocked) -> None:
    """The same again changes nothing, another outcome is refused, and so is a report on the task as a whole."""
    clocked.start("w: {tasks: {a: {action: x, with-items: 'i in [1, 2]'}}}")
    clocked.end("a", item=0, attempt=1)
    clocked.end("a", item=0, attempt=1)
    for which, error in (({"item": 0}, errors.TaskAlreadyCompleted), ({}, errors.TaskHasItems)):
        with pytest.raises(error):
            clocked.end("a", FAILURE, **which)
    with pytest.raises(errors.TaskNotFound):
        clocked.end("a", item=2)
    clocked.end("a", item=1)
    assert clocked.execution().state is ExecutionState.SUCCESS


def test_items_retry(clocked: Clocked) -> None:
    """All items run again, those that succeeded too; late answers to the first attempt are refused."""
    clocked.start("w: {tasks: {a: {action: x, with-items: 'i in [1, 2]', retry: {count: 1, delay: 5}}}}")
    clocked.end("a", result="first", item=0)
    clocked.end("a", FAILURE, item=1)
    assert clocked.task("a").state is TaskState.DELAYED
    assert clocked.pass_time(5) == 1
    assert clocked.claim() == [("a", 0, 2), ("a", 1, 2)]
    with pytest.raises(errors.TaskStaleAttempt):
        clocked.end("a", item=0, attempt=1)
    clocked.end("a", item=0)
    clocked.end("a", result="last", item=1)
    assert clocked.task("a").result == [None, "last"]
    assert clocked.execution().state is ExecutionState.SUCCESS


@pytest.mark.parametrize("suspended", [False, True])
def test_delays(clocked: Clocked, suspended: bool) -> None:
    """wait-before, then wait-after; an execution in which all wait is suspended at once and goes on where it was."""
    clocked.start("w: {tasks: {a: {action: x, wait-before: 10, wait-after: 20, on-success: b}, b: {action: x}}}")
    assert (clocked.task("a").state, clocked.claim()) == (TaskState.DELAYED, [])
    assert clocked.pass_time(9) == 0
    if suspended:
        clocked.engine.update_execution(OWNER, clocked.id, state=ExecutionState.SUSPENDED)
        assert clocked.execution().state is ExecutionState.SUSPENDED
    assert clocked.pass_time(1) == 1
    if suspended:
        assert clocked.claim() == []
        clocked.engine.update_execution(OWNER, clocked.id, state=ExecutionState.RUNNING)
    assert clocked.claim() == [("a", None, 1)]
    clocked.end("a", result=1)
    assert clocked.task("a").state is TaskState.DELAYED
    clocked.end("a", result=1)
    clocked.pass_time(20)
    assert (clocked.task("a").state, clocked.task("a").result) == (SUCCESS, 1)
    assert clocked.claim() == [("b", None, 1)]


def test_timeout(clocked: Clocked) -> None:
    """An unfinished task fails at its deadline and on-error runs; what comes late is refused."""
    clocked.start("w: {tasks: {a: {action: x, timeout: 30, on-error: b}, b: {action: x}}}")
    clocked.pass_time(29)
    assert clocked.task("a").state is TaskState.RUNNING
    clocked.pass_time(1)
    assert clocked.task("a").info == "Task timed out."
    with pytest.raises(errors.TaskDeadlinePassed):
        clocked.end("a")
    assert clocked.task("b").state is TaskState.RUNNING
    assert clocked.pass_time(1000) == 0


def test_pause_before(clocked: Clocked) -> None:
    """The task stays PENDING and the execution is suspended; resumed, it runs."""
    assert clocked.start("w: {tasks: {a: {action: x, pause-before: true}}}").state is ExecutionState.SUSPENDED
    assert clocked.task("a").state is TaskState.PENDING
    clocked.engine.update_execution(OWNER, clocked.id, state=ExecutionState.RUNNING)
    assert clocked.claim() == [("a", None, 1)]


def test_retry_without_delay_that_never_ends(clocked: Clocked) -> None:
    """A great many attempts of a pure action take no deep recursion and no long transaction."""
    execution = clocked.run("w: {tasks: {a: {action: std.fail, retry: {count: 3000, delay: 0}}}}")
    assert execution.state is ExecutionState.FAILURE
    assert clocked.task("a").attempt == 3001


@pytest.mark.parametrize(
    "task",
    [
        "{with-items: ['i in [1, 2]', 'j in [1]']}",
        "{with-items: i in <% 5 %>}",
        "{wait-before: <% a %>}",
        "{fail-on: <% 1 %>}",
        "{retry: {count: <% -1 %>, delay: 0}, action: std.fail}",
        "{action: <% 5 %>}",
        "{input: <% 5 %>}",
    ],
)
def test_what_cannot_be_evaluated_fails_both(clocked: Clocked, task: str) -> None:
    """Task and execution fail at once, and on-error does not run (Mistral: force_fail_task)."""
    execution = clocked.run(
        f"w: {{task-defaults: {{on-error: b}}, tasks: {{s: {{on-success: a}}, a: {task}, b: {{}}}}}}"
    )
    assert execution.state is ExecutionState.FAILURE
    assert execution.info is not None
    assert execution.info.startswith("Task 'a': ")
    states = {one.name: one.state for one in clocked.engine.list_tasks(OWNER, clocked.id, TaskQuery()).items}
    assert states == {"s": SUCCESS, "a": FAILURE, "b": TaskState.PENDING}


def test_a_death_loses_no_alarm(clocked: Clocked, database: Database) -> None:
    """Another process, which knows nothing of this one, does what is due."""
    clocked.start("w: {tasks: {a: {wait-before: 10}}}")
    other: Callable[[], datetime] = lambda: clocked.now + timedelta(seconds=10)  # noqa: E731
    assert Engine(database, clocked.engine.settings, clock=other).fire_due() == 1
    assert clocked.execution().state is ExecutionState.SUCCESS
