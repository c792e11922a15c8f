"""Leases that run out: the next attempt, or a failure; what a suspended execution does; what nobody waits for."""

import pytest
from driver import FAILURE, NOW, SUCCESS, Driver
from flows import FlowDriver, line
from test_core_items_and_loops import Engine, Hopeless, items

from lazyengine.core.attempt import Verdict, weigh
from lazyengine.core.graph import Node, Policy, Retry
from lazyengine.core.state import ExecutionState, Intent, TaskState

ONE = {"a": {}}
PAIR = {"a": {"on-success": ["b"]}, "b": {}}


def alone(**policy) -> Driver:
    return Driver(ONE, nodes=(Node(0, "a", policy=Policy(**policy)),)).start()


def test_the_next_attempt_is_under_way():
    """One history row, the next number, and the answer of the old attempt is stale."""
    driver = Driver(PAIR).start().lapse("a")
    mark = driver.task("a")
    assert (mark.state, mark.attempt, mark.info) == (TaskState.RUNNING, 2, "The lease of attempt 1 ran out")
    assert [(event.state, event.attempt, event.info) for event in driver.events[1:]] == [
        ("RUNNING", 1, None), ("RUNNING", 2, "The lease of attempt 1 ran out"),
    ]  # fmt: skip
    assert weigh(driver.state, mark, 1, same=False) is Verdict.STALE
    assert weigh(driver.state, mark, 2, same=False) is Verdict.ACCEPTED
    driver.complete("a").complete("b")
    assert driver.state is ExecutionState.SUCCESS


def test_what_nobody_waits_for_is_left_alone():
    """Of a run that has ended, or of an execution that is over, nothing changes, not even the generation."""
    for driver in (Driver(PAIR).start().complete("a"), Driver(PAIR).start().cancel()):
        before = driver.header, dict(driver.marks)
        driver.lapse("a")
        assert (driver.header, driver.marks) == before


def test_safe_rerun_false_fails_it():
    """Its retry policy, and its on-error, apply as to any failure; true, or nothing said, puts it back."""
    driver = alone(safe_rerun=False).lapse("a")
    assert (driver.state, driver.task("a").info) == (
        ExecutionState.FAILURE, "The lease of attempt 1 ran out, and 'safe-rerun' is false",
    )  # fmt: skip
    assert driver.outcomes[0, 1].failure.type == "lease"
    driver = alone(safe_rerun=False, retry=Retry(1)).lapse("a")
    assert (driver.task("a").state, driver.task("a").attempt) == (TaskState.RUNNING, 2)
    for said in (True, None):
        driver = alone(safe_rerun=said).lapse("a")
        assert (driver.task("a").state, driver.task("a").attempt) == (TaskState.RUNNING, 2)


def test_safe_rerun_that_cannot_be_evaluated_fails_both():
    driver = alone(safe_rerun="<% oh %>").lapse("a")
    assert (driver.state, driver.task("a").state) == (ExecutionState.FAILURE, TaskState.FAILURE)


def test_a_deadline_that_has_passed_comes_first():
    """The task has failed by then, whoever holds it."""
    driver = alone(timeout_seconds=5).lapse("a", 5)
    assert driver.task("a").info == "Task timed out."
    assert alone(timeout_seconds=5).lapse("a", 4.9).task("a").attempt == 2


def test_a_suspended_execution_hands_nothing_out():
    """It comes to rest; who resumes it hands the attempt out, under the number that it got at once."""
    driver = Driver(PAIR).start().suspend().lapse("a")
    mark = driver.task("a")
    assert (driver.state, mark.state, mark.attempt) == (ExecutionState.SUSPENDED, TaskState.RUNNING, 2)
    assert (mark.intent, driver.header.live, driver.header.backlog) == (Intent.RETURN, 0, 1)
    assert [event.attempt for event in driver.events if event.node is not None] == [1]
    assert weigh(driver.state, mark, 1, same=False) is Verdict.STALE
    assert weigh(driver.state, mark, 2, same=False) is Verdict.NOT_RUNNING
    assert weigh(driver.state, mark, None, same=False) is Verdict.NOT_RUNNING
    driver.resume()
    assert (driver.task("a").intent, driver.task("a").attempt, driver.header.live) == (None, 2, 1)
    driver.complete("a").complete("b")
    assert driver.state is ExecutionState.SUCCESS


def test_what_came_back_times_out_where_it_waits():
    driver = alone(timeout_seconds=5).suspend().lapse("a").wake("a", 5)
    assert (driver.task("a").state, driver.task("a").info) == (TaskState.FAILURE, "Task timed out.")
    assert (driver.header.live, driver.header.backlog) == (0, 1)
    assert driver.resume().state is ExecutionState.FAILURE


def test_what_came_back_is_rerun_after_a_cancellation():
    """The backlog is worked off once a rerun of another task lets the execution go on."""
    driver = Driver({"a": {}, "b": {}}).start().complete("b", FAILURE).suspend().lapse("a").cancel()
    driver.rerun("b").complete("b")
    assert driver.running() == [("a", 1)]
    assert driver.complete("a").state is ExecutionState.SUCCESS


def test_a_region_waits_for_what_came_back():
    """A task may have got anywhere when its worker vanished: it runs again, and is undone then."""
    flow = FlowDriver(line("f", "a", "b")).start().run("a")
    assert flow.suspend().lapse("b").under_way() == "b"
    flow.resume()
    assert flow.run("!b").under_way() == "-b"
    flow.lapse("b")
    assert (flow.task("b").attempt, flow.task("b").state) == (4, TaskState.REVERTING)
    flow.run("b", "a")
    assert flow.state is ExecutionState.REVERTED


@pytest.mark.parametrize("answered", [True, False])
def test_items_have_attempts_of_their_own(answered):
    """No later attempt of the run has a number that an item had."""
    engine = Engine(items(2, policy=Policy(retry=Retry(1))))
    engine.lapse(0, 1, 0)
    assert [engine.marks[0, 1, item].attempt for item in (0, 1)] == [2, 1]
    assert engine.marks[0, 1].attempt == 2
    engine.complete(0, 1, 0, outcome=FAILURE if answered else SUCCESS)
    engine.complete(0, 1, 1, outcome=FAILURE)
    assert [engine.marks[0, 1, item].attempt for item in (0, 1)] == [3, 3]


def test_an_item_that_must_not_run_again_fails():
    engine = Engine(items(2, policy=Policy(safe_rerun=False)))
    engine.lapse(0, 1, 1)
    assert engine.marks[0, 1, 1].state is TaskState.FAILURE
    engine.complete(0, 1, 0)
    assert (engine.marks[0, 1].state, engine.header.state) == (TaskState.FAILURE, ExecutionState.FAILURE)


def test_an_item_whose_run_is_over_is_left_alone():
    engine = Engine(items(2, policy=Policy(timeout_seconds=5)), Node(1, "b"))
    engine.wake(0, 1, seconds=5)
    before = engine.header
    engine.lapse(0, 1, 1)
    assert (engine.header, engine.marks[0, 1, 1].attempt) == (before, 1)


def test_items_that_came_back_let_a_suspension_rest():
    """Once nobody works on any item; resuming hands both out."""
    engine = Engine(items(2))
    engine.suspend()
    engine.lapse(0, 1, 0)
    assert engine.header.state is ExecutionState.SUSPENDING
    engine.lapse(0, 1, 1)
    assert engine.header.state is ExecutionState.SUSPENDED
    engine.resume()
    assert [engine.marks[0, 1, item].intent for item in (0, 1)] == [None, None]
    assert (engine.marks[0, 1].items.held, engine.header.asleep, engine.header.live) == (0, 0, 1)
    engine.complete(0, 1, 0)
    engine.complete(0, 1, 1)
    assert engine.header.state is ExecutionState.SUCCESS


def test_an_item_that_came_back_counts_as_not_begun_once_its_run_is_over():
    engine = Engine(items(2, policy=Policy(timeout_seconds=5)), Node(1, "b"))
    engine.suspend()
    engine.lapse(0, 1, 0)
    engine.wake(0, 1, seconds=5)
    engine.resume()
    items_of = engine.marks[0, 1].items
    assert (items_of.held, items_of.begun, items_of.redo) == (0, 1, (0,))
    assert engine.header.backlog == 0


def test_roots_wait_for_their_turn():
    """They are DELAYED, then have it as at a start: with their policies, and their deadline from then on."""
    node = Node(0, "a", policy=Policy(wait_before_seconds=3, timeout_seconds=9))
    driver = Driver(ONE, nodes=(node,))
    driver.host.start_after_seconds = 60.0
    driver.start()
    mark = driver.task("a")
    assert (mark.state, (mark.due_at - NOW).total_seconds(), mark.deadline_at) == (TaskState.DELAYED, 60, None)
    driver.wake("a", 59)
    assert driver.task("a") == mark
    driver.wake("a", 60)
    mark = driver.task("a")
    assert (mark.state, mark.ending) == (TaskState.DELAYED, None)
    assert [(moment - NOW).total_seconds() for moment in (mark.due_at, mark.deadline_at)] == [63, 69]
    assert driver.wake("a", 63).running() == [("a", 1)]


def test_a_turn_that_comes_while_suspended_waits():
    driver = Driver(ONE, nodes=(Node(0, "a", policy=Policy(timeout_seconds=9)),))
    driver.host.start_after_seconds = 60.0
    driver.start().suspend()
    assert driver.state is ExecutionState.SUSPENDED
    driver.wake("a", 60)
    assert (driver.task("a").state, driver.task("a").intent) == (TaskState.DELAYED, Intent.RUN)
    driver.resume()
    assert (driver.running(), driver.task("a").deadline_at is None) == ([("a", 1)], False)


def test_a_turn_that_cannot_be_taken_fails_both():
    engine = Engine(Node(0, "a", policy=Policy(wait_before_seconds="oh")), host=Waiting("oh"))
    engine.wake(0, 1, seconds=60)
    assert (engine.marks[0, 1].state, engine.header.state) == (TaskState.FAILURE, ExecutionState.FAILURE)


class Waiting(Hopeless):
    """Lets roots wait."""

    start_after_seconds = 60.0


def test_who_answers_after_a_deadline():
    """Refused as such, unless it says what was recorded, or the execution is over."""
    running, failed = Driver(ONE).start().task("a"), Driver(ONE).start().complete("a", FAILURE).task("a")
    assert weigh(ExecutionState.RUNNING, running, 1, same=False, overdue=True) is Verdict.DEADLINE_PASSED
    assert weigh(ExecutionState.RUNNING, running, 2, same=False, overdue=True) is Verdict.STALE
    assert weigh(ExecutionState.CANCELLED, running, 1, same=False, overdue=True) is Verdict.TOO_LATE
    assert weigh(ExecutionState.RUNNING, failed, None, same=False, overdue=True) is Verdict.DEADLINE_PASSED
    assert weigh(ExecutionState.RUNNING, failed, None, same=True, overdue=True) is Verdict.REPEATED
