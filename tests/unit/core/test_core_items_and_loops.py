"""Items of a run and loops of a graph, over the bare core."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from driver import CANCELLED, FAILURE, NOW, SUCCESS

from lazyengine.core import resolve
from lazyengine.core.decision import Decision, Errand, Slice
from lazyengine.core.graph import Command, Edge, Key, Loop, Node, On, Policy, Retry
from lazyengine.core.host import Host, Refused
from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import ExecutionEvent, ExecutionState, Header, Mark, Outcome, TaskState


class Hopeless(Host):
    """Cannot do what its name says."""

    def __init__(self, what: str) -> None:
        self.what = what

    def collect(self, node: Node, mark: Mark, ended: Any) -> list[Any]:
        if self.what == "collect":
            raise Refused("no collect")
        return super().collect(node, mark, ended)

    def end(self, node: Node, mark: Mark) -> None:
        if self.what == "end":
            raise Refused("no end")

    def holds(self, node: Node, key: Key, guard: Any) -> bool:
        if self.what == "holds":
            raise Refused("no guard")
        return bool(guard)

    def value(self, node: Node, key: Key, value: Any) -> Any:
        if value == self.what:
            raise Refused(f"no {value}")
        return 1


class Shrinking(Host):
    """Finds fewer items than there are."""

    less = 0

    def spread(self, node: Node, key: Key) -> int:
        return super().spread(node, key) - self.less


class Engine:
    """Everything in one slice, as the whole graph is small."""

    def __init__(self, *nodes: Node, host: Host | None = None) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.host, self.header, self.marks = host or Host(), Header(), dict[Key, Mark]()
        self.closed = 0
        self.follow(resolve.begin(self.header, [node.id for node in nodes if not node.indegree], NOW))

    def slice(self) -> Slice:
        return Slice(self.header, self.nodes, self.marks)

    def follow(self, decision: Decision, budget: int = UNBOUNDED) -> None:
        while True:
            self.header = decision.header
            self.marks.update(decision.marks)
            if not decision.wave:
                break
            self.closed += sum(token.errand is Errand.REST for token in decision.wave)
            decision = resolve.arrive(self.slice(), decision.wave, NOW, self.host, budget)
        self.header = resolve.settle(self.header, NOW).header

    def complete(self, *key: int, outcome: Outcome = SUCCESS) -> None:
        self.follow(resolve.complete(self.slice(), key, outcome, NOW, self.host))

    def rerun(self, *key: int, **how: bool) -> None:
        self.follow(resolve.rerun(self.slice(), key, NOW, self.host, **how))

    def lapse(self, *key: int) -> None:
        self.follow(resolve.lapse(self.slice(), key, NOW, self.host))

    def wake(self, *key: int, seconds: float) -> None:
        self.follow(resolve.wake(self.slice(), key, NOW + timedelta(seconds=seconds), self.host))

    def suspend(self) -> None:
        self.follow(resolve.steer(self.header, ExecutionEvent.SUSPEND, None, NOW))

    def resume(self) -> None:
        """Resume, and carry on with the backlog."""
        self.follow(resolve.steer(self.header, ExecutionEvent.RESUME, None, NOW))
        held = sorted((mark.place, key) for key, mark in self.marks.items() if mark.intent)
        self.follow(resolve.unfold(self.slice(), [key for _, key in held], NOW, self.host))

    def running(self) -> list[Key]:
        return sorted(key for key, mark in self.marks.items() if mark.state is TaskState.RUNNING)


def items(count: int, **more: Any) -> Node:
    return Node(0, "a", items={"i": list(range(count))}, **more)


def test_rerun_without_reset_repeats_the_failed_items_only():
    """What succeeded keeps its result."""
    engine = Engine(items(3))
    for item, outcome in enumerate((SUCCESS, FAILURE, SUCCESS)):
        engine.complete(0, 1, item, outcome=outcome)
    assert engine.header.state is ExecutionState.FAILURE
    engine.rerun(0, 1, reset=False)
    assert engine.running() == [(0, 1), (0, 1, 1)]
    engine.complete(0, 1, 1)
    assert engine.header.state is ExecutionState.SUCCESS


def test_items_of_which_there_is_another_number_now():
    host = Shrinking()
    engine = Engine(items(2), host=host)
    engine.complete(0, 1, 0, outcome=FAILURE)
    engine.complete(0, 1, 1)
    host.less = 1
    engine.rerun(0, 1, reset=False)
    assert (engine.header.state, engine.header.live) == (ExecutionState.FAILURE, 0)
    engine.rerun(0, 1)
    assert engine.running() == [(0, 1), (0, 1, 0)]


def test_rerun_with_reset_repeats_all_items():
    engine = Engine(items(2))
    engine.complete(0, 1, 0, outcome=FAILURE)
    engine.complete(0, 1, 1)
    engine.rerun(0, 1)
    assert engine.running() == [(0, 1), (0, 1, 0), (0, 1, 1)]


def test_a_cancelled_item_cancels_the_run_at_once():
    engine = Engine(items(2))
    engine.complete(0, 1, 0, outcome=CANCELLED)
    assert engine.marks[0, 1].state is TaskState.CANCELLED
    assert engine.header.state is ExecutionState.CANCELLED


def test_pure_items_end_as_they_begin():
    engine = Engine(items(3, action="std.echo", input={"output": 7}))
    assert engine.header.state is ExecutionState.SUCCESS
    assert engine.marks[0, 1].outcome is not None
    assert engine.marks[0, 1].outcome.result == [7, 7, 7]


def test_results_that_cannot_be_gathered_fail_both():
    engine = Engine(items(1), host=Hopeless("collect"))
    engine.complete(0, 1, 0)
    assert engine.header.state is ExecutionState.FAILURE


RETRY = Policy(retry=Retry(2, 0, continue_on="holds"))


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (RETRY, "holds"),
        (Policy(fail_on="fail-on"), "fail-on"),
        (Policy(retry=Retry("count")), "count"),
        (Policy(timeout_seconds="timeout"), "timeout"),
    ],
)
def test_a_policy_that_cannot_be_evaluated_fails_both(policy, what):
    engine = Engine(Node(0, "a", policy=policy), host=Hopeless(what))
    if engine.running():
        engine.complete(0, 1)
    assert engine.header.state is ExecutionState.FAILURE
    assert engine.header.live == 0


def test_a_policy_of_another_type_fails_both():
    """An expression gave 1 where a truth is asked for."""
    engine = Engine(Node(0, "a", policy=Policy(pause_before="x")), host=Hopeless(""))
    assert engine.header.state is ExecutionState.FAILURE


def test_keep_result_false_drops_it():
    engine = Engine(Node(0, "a", policy=Policy(keep_result=False)))
    engine.complete(0, 1, outcome=replace(SUCCESS, result=5))
    assert engine.marks[0, 1].outcome == SUCCESS
    assert engine.marks[0, 1].reported == replace(SUCCESS, result=5)


def test_what_is_over_has_no_alarm_any_more():
    """The execution was ended by a command while the task waited."""
    waits = Node(0, "a", policy=Policy(wait_before_seconds=5))
    ends = Node(1, "b", edges=(Edge(On.SUCCESS, Command.FAIL),))
    engine = Engine(waits, ends)
    engine.complete(1, 1)
    engine.follow(resolve.wake(engine.slice(), (0, 1), NOW + timedelta(seconds=5), engine.host))
    assert engine.marks[0, 1].alarm_at is None
    assert engine.running() == []


def test_an_early_alarm_changes_nothing():
    engine = Engine(Node(0, "a", policy=Policy(wait_before_seconds=5)))
    before = engine.marks[0, 1]
    engine.follow(resolve.wake(engine.slice(), (0, 1), NOW + timedelta(seconds=4), engine.host))
    assert engine.marks[0, 1] == before


def test_doze_is_what_lets_a_suspension_come_to_rest():
    """A run whose workflow is suspended is not in flight."""
    engine = Engine(Node(0, "a"))
    engine.follow(resolve.doze(engine.slice(), (0, 1), 1, NOW))
    assert engine.header.asleep == 1
    engine.follow(resolve.doze(engine.slice(), (0, 1), -1, NOW))
    assert engine.header.asleep == 0


def test_a_run_with_items_sleeps_once_the_workflows_of_all_items_under_way_do():
    engine = Engine(Node(0, "a", items={"i": [1, 2, 3]}, workflow="w", policy=Policy(concurrency=2)))
    asleep = []
    for item, executions in ((0, 1), (1, 1), (0, -1)):
        engine.follow(resolve.doze(engine.slice(), (0, 1, item), executions, NOW))
        asleep.append(engine.header.asleep)
    assert asleep == [0, 1, 0]


def test_an_end_wakes_a_run_whose_workflow_is_suspended():
    engine = Engine(Node(0, "a", policy=Policy(timeout_seconds=5)))
    engine.follow(resolve.doze(engine.slice(), (0, 1), 1, NOW))
    engine.follow(resolve.wake(engine.slice(), (0, 1), NOW + timedelta(seconds=5), engine.host))
    assert (engine.header.live, engine.header.asleep) == (0, 0)


def loop(join: int | None = 2) -> tuple[Node, ...]:
    """s → x, y → j → x, y (a loop whose join is j) and j → k, where k also waits for t."""
    go = On.SUCCESS
    facts = Loop(entries=2, joins=(3,), exits=((3, 4),))
    return (
        Node(0, "s", edges=(Edge(go, 1), Edge(go, 2)), heeds=(1, 2)),
        Node(1, "x", indegree=2, repeats=True, edges=(Edge(go, 3),), loop=1, loop_facts=facts),
        Node(2, "y", indegree=2, repeats=True, edges=(Edge(go, 3),), loop=1),
        Node(
            3, "j", join=join, indegree=2, repeats=True, loop=1, joins=frozenset({4}),
            edges=(Edge(On.ERROR, 1), Edge(On.ERROR, 2), Edge(go, 4)),
        ),
        Node(4, "k", join=2, indegree=2),
        Node(5, "t", edges=(Edge(go, 4),), heeds=(4,), joins=frozenset({4})),
    )  # fmt: skip


def test_a_join_in_a_loop_runs_once_a_turn():
    engine = Engine(*loop())
    engine.complete(0, 1)
    engine.complete(5, 1)
    for turn in (1, 2, 3):
        engine.complete(1, turn)
        assert (3, turn) not in engine.running()
        engine.complete(2, turn)
        assert engine.running() == [(3, turn)]
        engine.complete(3, turn, outcome=SUCCESS if turn == 3 else FAILURE)
    assert engine.running() == [(4, 1)]
    engine.complete(4, 1)
    assert engine.header.state is ExecutionState.SUCCESS


def test_a_join_in_a_loop_that_waits_in_vain_fails_when_the_loop_has_come_to_rest():
    """And the links out of the loop are told, so that the join behind it fails too; a rerun takes that back."""
    engine = Engine(*loop())
    engine.complete(0, 1)
    engine.complete(5, 1)
    engine.complete(1, 1)
    assert engine.marks[3, 1].state is TaskState.PENDING
    engine.complete(2, 1, outcome=FAILURE)
    assert engine.marks[3, 1].state is TaskState.FAILURE, "x chose it, y did not"
    assert engine.running() == [(1, 2), (2, 2)], "its on-error goes round once more"
    engine.complete(1, 2, outcome=FAILURE)
    engine.complete(2, 2, outcome=FAILURE)
    assert engine.marks[4, 1].state is TaskState.FAILURE
    assert engine.header.state is ExecutionState.FAILURE
    engine.rerun(2, 2)
    assert engine.marks[4, 1].state is TaskState.PENDING
    engine.complete(2, 2, outcome=FAILURE)
    assert engine.marks[4, 1].state is TaskState.FAILURE


def test_a_rerun_of_what_leads_into_a_loop_opens_it_again():
    engine = Engine(*loop())
    engine.complete(5, 1)
    engine.complete(0, 1, outcome=FAILURE)
    assert engine.marks[4, 1].state is TaskState.FAILURE
    engine.rerun(0, 1)
    assert engine.marks[4, 1].state is TaskState.PENDING
    engine.complete(0, 1)
    engine.complete(1, 1)
    engine.complete(2, 1)
    engine.complete(3, 1)
    engine.complete(4, 1)
    assert engine.marks[4, 1].state is TaskState.SUCCESS


class Grudging(Host):
    """Publishes nothing of one node."""

    def end(self, node: Node, mark: Mark) -> None:
        if node.id == 2:
            raise Refused("no end")


def test_a_blocked_join_whose_publishing_fails_fails_both():
    nodes = (
        Node(0, "a", edges=(Edge(On.SUCCESS, 2),), heeds=(2,), joins=frozenset({2})),
        Node(1, "b", edges=(Edge(On.ERROR, 2),), heeds=(2,), joins=frozenset({2})),
        Node(2, "j", join=2, indegree=2, ends=False),
    )
    engine = Engine(*nodes, host=Grudging())
    engine.complete(0, 1)
    engine.complete(1, 1)
    assert engine.marks[2, 1].state is TaskState.FAILURE
    assert engine.header.state is ExecutionState.FAILURE


def test_a_dead_link_into_a_join_in_a_loop_settles_it():
    """The loop was never entered, and has come to its end nevertheless."""
    go = On.SUCCESS
    facts = Loop(entries=1, joins=(1,), exits=((2, 3),))
    engine = Engine(
        Node(0, "s", edges=(Edge(go, 1),), heeds=(1,)),
        Node(1, "j", join=2, indegree=2, repeats=True, edges=(Edge(go, 2),), loop=1, loop_facts=facts),
        Node(2, "x", indegree=1, repeats=True, edges=(Edge(go, 1), Edge(go, 3)), loop=1, joins=frozenset({3})),
        Node(3, "k", join=2, indegree=2),
        Node(4, "t", edges=(Edge(go, 3),), heeds=(3,), joins=frozenset({3})),
    )
    engine.complete(4, 1)
    engine.complete(0, 1, outcome=FAILURE)
    assert engine.marks[3, 1].state is TaskState.FAILURE


def test_two_tasks_that_pause_before_pause_once():
    pauses = Policy(pause_before=True)
    engine = Engine(Node(0, "a", policy=pauses), Node(1, "b", policy=pauses))
    assert (engine.header.state, engine.header.backlog) == (ExecutionState.SUSPENDED, 2)


def test_fail_on_turns_a_success_into_a_failure():
    """What was reported stays known, so that the report may be repeated."""
    engine = Engine(Node(0, "a", policy=Policy(fail_on=True)))
    engine.complete(0, 1)
    assert engine.header.state is ExecutionState.FAILURE
    assert engine.marks[0, 1].reported == SUCCESS


@pytest.mark.parametrize(("retry", "outcome"), [(Retry(3), CANCELLED), (Retry(0), FAILURE)])
def test_what_is_not_tried_again(retry, outcome):
    """A cancelled run, and one whose retries are none."""
    engine = Engine(Node(0, "a", policy=Policy(retry=retry)))
    engine.complete(0, 1, outcome=outcome)
    assert engine.marks[0, 1].state is outcome.state


def test_a_rerun_whose_policies_cannot_be_evaluated_fails_both():
    host = Hopeless("")
    engine = Engine(Node(0, "a", policy=Policy(timeout_seconds="x")), host=host)
    engine.complete(0, 1, outcome=FAILURE)
    host.what = "x"
    engine.rerun(0, 1)
    assert (engine.header.state, engine.header.live) == (ExecutionState.FAILURE, 0)


def test_a_rerun_while_others_still_run():
    engine = Engine(Node(0, "a"), Node(1, "b"))
    engine.complete(0, 1, outcome=FAILURE)
    engine.rerun(0, 1)
    engine.complete(0, 1)
    engine.complete(1, 1)
    assert engine.header.state is ExecutionState.SUCCESS


class Bounded(Host):
    most_iterations = 3


def test_a_loop_that_never_ends_is_ended():
    """Its actions end by themselves, so nobody would ever be asked."""
    nodes = (
        Node(0, "r", action="std.noop", edges=(Edge(On.SUCCESS, 1),)),
        Node(1, "a", action="std.noop", repeats=True, indegree=2, edges=(Edge(On.SUCCESS, 1), Edge(On.COMPLETE, 1))),
    )
    engine = Engine(*nodes, host=Bounded())
    assert engine.header.state is ExecutionState.FAILURE
    assert (
        engine.header.info
        == "Task 'a': It would run more than 3 times; raise max_iterations in the settings if it has to."
    )
    assert (engine.header.live, engine.running()) == (0, [])
    assert {mark.state for key, mark in engine.marks.items() if key[1] > 3} == {TaskState.FAILURE}


def test_a_join_that_waits_in_vain_for_ever_is_ended():
    """It fails without a run, and chooses itself on-error."""
    facts = Loop(entries=2, joins=(2,))
    nodes = (
        Node(0, "r", action="std.noop", edges=(Edge(On.SUCCESS, 2),), heeds=(2,)),
        Node(1, "s", action="std.fail", edges=(Edge(On.SUCCESS, 2),), heeds=(2,)),
        Node(2, "j", join=3, indegree=3, repeats=True, loop=2, loop_facts=facts, edges=(Edge(On.ERROR, 2),)),
    )
    engine = Engine(*nodes, host=Bounded())
    assert engine.header.state is ExecutionState.FAILURE
    assert engine.header.info is not None
    assert engine.header.info.startswith("Task 'j': It would run more than 3 times")
    assert engine.header.live == 0
