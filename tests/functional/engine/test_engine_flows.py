"""TaskFlow flows over a database: tasks and reverts are completed from outside, by an engine of its own each time."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from driving import Clock
from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import graph_flow, linear_flow, unordered_flow

from lazyengine import errors
from lazyengine.core.graph import Kind
from lazyengine.core.state import ExecutionState, Failure, Outcome, TaskState
from lazyengine.engine import Engine
from lazyengine.flows import Flows
from lazyengine.records import Claim, Report
from tests.oracle.flows.both_engines import TaskFlowRun
from tests.oracle.flows.random_flows import Broken, RandomFlow

OWNER = "alice"


class Work(task.Task):
    def execute(self) -> None: ...


class Two(task.Task):
    def execute(self, left: Any, right: Any, spare: Any = 0) -> None: ...

    def revert(self, left: Any, right: Any, result: Any, flow_failures: Any) -> None: ...


class Processes:
    """Each verb is a process of its own: a new engine that has compiled the flow anew."""

    def __init__(self, database, settings, clock: Clock, factory: Callable[[], Flow], is_one: bool = False) -> None:
        self.flows = Flows({"flow": factory})
        self.new = lambda: Engine(database, settings, clock, self.flows if is_one else Flows({"flow": factory}))
        self.offers: dict[str, Any] = {}

    def start(self, **given: Any) -> "Processes":
        started = self.new().start_flow(OWNER, "flow", given)
        self.id = started.execution.id
        return self.take(started.scheduled)

    def take(self, scheduled: Any) -> "Processes":
        self.offers |= {one.task: one for one in scheduled}
        return self

    def complete(self, name: str, result: Any = None, failure: str | None = None) -> "Processes":
        offer = self.offers.pop(name)
        state = TaskState.FAILURE if failure else TaskState.SUCCESS
        outcome = Outcome(state, result, Failure("ValueError", failure) if failure else None)
        report = Report(name, outcome, attempt=offer.attempt)
        return self.take(self.new().complete_task(OWNER, self.id, report).scheduled)

    @property
    def under_way(self) -> str:
        return " ".join(("-" if one.reverts else "") + name for name, one in sorted(self.offers.items()))

    @property
    def state(self) -> ExecutionState:
        return self.new().get_execution(OWNER, self.id).state

    def state_of(self, name: str) -> TaskState:
        return self.new().get_task(OWNER, self.id, name).state


@pytest.fixture
def processes(database, settings, clock: Clock) -> Callable[..., Processes]:
    return lambda factory, **options: Processes(database, settings, clock, factory, **options)


def test_arguments_are_bound_as_in_taskflow(processes):
    """What is injected comes first, then what the flow was given, then what ran before; defaults stay with tasks."""

    def factory() -> Flow:
        return linear_flow.Flow("f").add(
            Work("a", provides=("one", "two")),
            Work("b", provides="one"),
            Two("c", rebind={"left": "one"}, inject={"right": "injected"}),
            Two("d", rebind={"left": "two", "right": "given"}),
        )

    run = processes(factory).start(given=7).complete("a", [1, 2]).complete("b", "nearer")
    assert run.offers["c"].input == {"left": "nearer", "right": "injected"}
    assert run.complete("c").offers["d"].input == {"left": 2, "right": 7}
    run.complete("d", failure="no")
    assert run.offers["d"].reverts
    failure = {"type": "ValueError", "message": "no", "details": None}
    assert run.offers["d"].input == {"left": 2, "right": 7, "result": failure, "flow_failures": {"d": failure}}
    assert run.complete("d").offers["c"].input["result"] is None
    assert run.complete("c").complete("b").complete("a").state is ExecutionState.REVERTED


def test_a_controller_runs_its_flow_again_with_what_it_has_tried(processes):
    def factory() -> Flow:
        inner = linear_flow.Flow("g", retry.ForEach(["x", "y"], "r", provides="value"))
        return linear_flow.Flow("f").add(inner.add(Two("a", rebind={"left": "value", "right": "value"})), Work("b"))

    run = processes(factory).start()
    assert run.offers["a"].input == {"left": "x", "right": "x"}
    run.complete("a", failure="no")
    assert run.under_way == "-a"
    assert run.complete("a").offers["a"].input == {"left": "y", "right": "y"}
    assert run.complete("a").complete("b").state is ExecutionState.SUCCESS


def test_reverts_are_claimed_like_tasks(processes):
    run = processes(lambda: linear_flow.Flow("f").add(Work("a"))).start().complete("a", failure="no")
    (claimed,) = run.new().claim_tasks(OWNER, Claim("worker"))
    assert (claimed.task, claimed.reverts, claimed.attempt) == ("a", True, 2)


def test_deciders_see_results(processes):
    def factory() -> Flow:
        flow = graph_flow.Flow("f")
        one, two, three = Work("a"), Work("b"), Work("c")
        flow.add(one, two, three)
        flow.link(one, two, decider=lambda history: history["a"] == "go", decider_depth="ATOM")
        flow.link(two, three)
        return flow

    run = processes(factory).start().complete("a", "stop")
    assert (run.under_way, run.state_of("b")) == ("c", TaskState.IGNORE)
    assert processes(factory).start().complete("a", "go").under_way == "b"


def test_what_a_flow_requires_has_to_be_given(processes):
    """Every missing name is told; what nobody takes does no harm; what has a default may be left out, or given."""
    run = processes(lambda: unordered_flow.Flow("f").add(Two("a"), Work("b")))
    with pytest.raises(errors.InputInvalid, match="'right' is missing"):
        run.start(left=1, unheard=2)
    assert run.start(left=1, right=2).offers["a"].input == {"left": 1, "right": 2}
    assert run.start(left=1, right=2, spare=3).offers["a"].input["spare"] == 3


@pytest.mark.parametrize(
    ("result", "answer", "reason"),
    [
        ([1], True, "nobody that runs before provides 'two'"),
        ([1, 2], False, "nobody that runs before provides 'two'"),
        ([1, 2], None, "TypeError"),
    ],
    ids=["too short", "ignored", "a decider that raises"],
)
def test_what_an_atom_has_not_left_cannot_be_bound(processes, result, answer, reason):
    """A result without that part; an atom that was ignored; and a decider that does not get so far."""

    def factory() -> Flow:
        flow, first, second = graph_flow.Flow("f"), Work("z"), Work("a", provides=("one", "two"))
        flow.add(first, second, Two("b", rebind={"left": "two", "right": "two"}))
        decide = (lambda history: answer) if answer is not None else len
        flow.link(first, second, decider=decide, decider_depth="ATOM")
        return flow

    run = processes(factory).start().complete("z")
    if answer:
        run.complete("a", result)
    assert run.state is ExecutionState.FAILURE
    assert reason in run.new().get_execution(OWNER, run.id).info


def test_a_controller_that_raises_is_a_failure(processes):
    """One that has nothing left to try, and one that is in a flow that runs again forgets what it had tried."""

    def factory() -> Flow:
        inner = linear_flow.Flow("g", retry.ForEach([1], "s")).add(Work("a"))
        return linear_flow.Flow("f", retry.Times(2, "r")).add(inner)

    run = processes(factory).start().complete("a", failure="no").complete("a")
    assert run.under_way == "a", "the outer controller wanted another attempt, so the inner one tries its value again"
    run.complete("a", failure="no").complete("a")
    assert run.state is ExecutionState.REVERTED
    run = processes(lambda: linear_flow.Flow("f", retry.ForEach([], "r")).add(Work("a"))).start()
    assert (run.state, run.state_of("r")) == (ExecutionState.REVERTED, TaskState.REVERTED)


def test_a_process_that_does_not_know_the_flow(processes, database, settings):
    run = processes(lambda: linear_flow.Flow("f").add(Work("a"))).start()
    stranger = Engine(database, settings)
    with pytest.raises(errors.WorkflowNotFound, match="that this process knows"):
        stranger.complete_task(OWNER, run.id, Report("a", Outcome(TaskState.SUCCESS)))
    with pytest.raises(errors.WorkflowNotFound, match="that this process knows"):
        stranger.start_flow(OWNER, "flow", {})


@pytest.mark.backends("sqlite")
def test_random_flows_come_to_the_end_that_they_have_in_taskflow(processes):
    """Controllers are executed as they start, so TaskFlow lets them end first too, and none of them fails."""
    for seed in range(3000, 3030):
        theirs = TaskFlowRun(*RandomFlow(seed, failing=False).build(), random.Random(seed), retries_first=True)
        expected = theirs.run()
        flow, calls = RandomFlow(seed, failing=False).build()
        run = processes(lambda flow=flow: flow, is_one=True).start()
        atoms = {atom.name: (id, atom) for id, atom in run.flows.compiled("flow").atoms.items()}
        nodes = run.flows.compiled("flow").nodes
        for name in theirs.ended:
            id, atom = atoms[name]
            if nodes[id].kind is Kind.TASK:
                _play(run, name, atom, calls)
        states = {name: (str(run.state_of(name)), calls.executed[name], calls.reverted[name]) for name in atoms}
        assert (str(run.state), states) == (expected.state, expected.atoms), f"seed {seed}"


def _play(run: Processes, name: str, atom: Any, calls: Any) -> None:
    try:
        result = calls.revert(atom) if run.offers[name].reverts else calls.execute(atom)
    except Broken as broken:
        run.complete(name, failure=str(broken))
    else:
        run.complete(name, result)
