"""Verbs of TaskFlow flows, killed at every point: a start, regions that open and are undone, deciders, stop, go on."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from driving import OWNER, failure, success
from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import graph_flow, linear_flow
from test_crash_points import RESUME, SUSPEND, Trial, happens_whole_or_not_at_all, nothing, then

from lazyengine import errors
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.flows import Flows
from lazyengine.settings import Settings

Action = Callable[[Engine, str], Any]
NAME = "crash"


class Work(task.Task):
    def execute(self) -> None:
        """Never called: the test says how it ends."""


def flow(id: str) -> Flow:
    """A flow that nobody has stored before: its last task has a name of its own."""
    tried = linear_flow.Flow("tried", retry.Times(2, "twice")).add(Work("a"), Work("b"))
    c, d, e = (Work(name) for name in "cde")
    choice = graph_flow.Flow("choice").add(c, d, e)
    choice.link(c, d, decider=lambda history: history["c"] != {"of": "c"}, decider_depth="ATOM")
    choice.link(c, e)
    return linear_flow.Flow(NAME).add(tried, choice, Work(f"last of {id}"))


def begin(engine: Engine, id: str) -> None:
    """Start an execution of this id, unless there is one: the engine gives ids of its own."""
    with suppress(errors.ExecutionNotFound):
        engine.get_execution(OWNER, id)
        return
    flows = engine.flows
    assert isinstance(flows, Flows)
    flows.add(NAME, lambda: flow(id))
    with mock.patch("lazyengine.engine.uuid.uuid4", return_value=id):
        engine.start_flow(OWNER, NAME, {})


def complete(name: str, attempt: int = 1, fails: bool = False) -> Action:
    """Say how an attempt ended, unless another one has begun: that would be kept in the history as late."""

    def verb(engine: Engine, id: str) -> None:
        if engine.get_task(OWNER, id, name.format(id)).attempt == attempt:
            answer = failure if fails else success
            with suppress(errors.TaskNotRunning):  # it was undone, and waits to run again
                more = {} if fails else {"result": {"of": name}}
                engine.complete_task(OWNER, id, answer(name.format(id), attempt=attempt, **more))

    return verb


def fail(name: str, attempt: int = 1) -> Action:
    return complete(name, attempt, fails=True)


ONCE = then(begin, complete("a"), fail("b"), complete("b", 2), complete("a", 2))
"""The first try has failed and is undone, the second is under way."""
CHOSEN = then(begin, complete("a"), complete("b"), complete("c"))
TRIALS = {
    "start": Trial(nothing, begin, "RUNNING"),
    "complete": Trial(begin, complete("a"), "RUNNING"),
    "a failure opens a region": Trial(then(begin, complete("a")), fail("b"), "RUNNING"),
    "a revert ends, another begins": Trial(then(begin, complete("a"), fail("b")), complete("b", 2), "RUNNING"),
    "the last revert ends, the region runs again": Trial(
        then(begin, complete("a"), fail("b"), complete("b", 2)), complete("a", 2), "RUNNING"
    ),
    "the controller gives up": Trial(then(ONCE, complete("a", 3)), fail("b", 3), "RUNNING"),
    "the last revert of all ends": Trial(
        then(ONCE, complete("a", 3), fail("b", 3), complete("b", 4)), complete("a", 4), "REVERTED"
    ),
    "a revert fails": Trial(then(begin, complete("a"), fail("b")), fail("b", 2), "FAILURE"),
    "a decider says no": Trial(then(begin, complete("a"), complete("b")), complete("c"), "RUNNING"),
    "stop": Trial(then(begin, complete("a")), SUSPEND, "SUSPENDING"),
    "complete while stopping": Trial(then(begin, SUSPEND), complete("a"), "SUSPENDED"),
    "fail while stopping": Trial(then(begin, complete("a"), SUSPEND), fail("b"), "SUSPENDED"),
    "go on": Trial(then(begin, SUSPEND, complete("a")), RESUME, "RUNNING"),
    "go on with what is to be undone": Trial(then(begin, complete("a"), SUSPEND, fail("b")), RESUME, "RUNNING"),
    "the end": Trial(then(CHOSEN, complete("e")), complete("last of {}"), "SUCCESS"),
}


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_a_verb_of_a_flow_happens_whole_or_not_at_all(database: Database, settings: Settings, trial: Trial) -> None:
    flows = Flows({})
    happens_whole_or_not_at_all(database, settings, trial, lambda *of: Engine(*of, flows=flows))
