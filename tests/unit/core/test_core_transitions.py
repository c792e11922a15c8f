"""The two tables: each entry is reached by a real scenario, and nothing else is possible."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from driver import CANCELLED, FAILURE, NOW, SUCCESS, Driver
from flows import FlowDriver, line

from lazyengine.core import resolve
from lazyengine.core import state as core_state
from lazyengine.core.graph import Depth, Node, Policy, Retry
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    EXECUTION_TRANSITIONS,
    FINAL_EXECUTION_STATES,
    FINAL_TASK_STATES,
    TASK_TRANSITIONS,
    ExecutionEvent,
    ExecutionState,
    Header,
    IllegalTransition,
    Mark,
    TaskEvent,
    TaskState,
    next_execution_state,
    next_task_state,
)

X, E, S, T = ExecutionState, ExecutionEvent, TaskState, TaskEvent
ONE = {"a": {}}
PAIR = line("f", "a", "b")
AGAIN = line("f", "a", "b", "c", retry="r")
DOUBT = {"b": (Depth.ATOM,)}


def deciding() -> FlowDriver:
    return FlowDriver(PAIR, doubts=DOUBT, elsewhere="b").start().run("a")


def asking() -> FlowDriver:
    return FlowDriver(AGAIN, elsewhere="r").start().run("r", "!a")


LOST = {"a": {"on-success": ["j"]}, "b": {"on-error": ["j"]}, "j": {"join": "all"}}


def alone(refused: str = "", **policy: Any) -> Driver:
    """One task with a policy, started."""
    node = Node(0, "a", policy=Policy(**policy))
    return Driver(ONE, nodes=(node,), refused={"a": refused}).start()


def handled() -> Driver:
    """A task that has failed and whose on-error has begun."""
    return Driver({"a": {"on-error": ["h"]}, "h": {"on-skip": ["i"]}, "i": {}, "b": {}}).start().complete("a", FAILURE)


SCENARIOS: dict[tuple, Callable[[], Driver]] = {
    (X.RUNNING, E.SUSPEND): lambda: Driver(ONE).start().suspend(),
    (X.RUNNING, E.SUCCEED): lambda: Driver(ONE).start().complete("a"),
    (X.RUNNING, E.FAIL): lambda: Driver(ONE).start().complete("a", FAILURE),
    (X.RUNNING, E.CANCEL): lambda: Driver(ONE).start().cancel(),
    (X.SUSPENDING, E.DRAIN): lambda: Driver(ONE).start().suspend().complete("a"),
    (X.SUSPENDING, E.RESUME): lambda: Driver(ONE).start().suspend().resume(),
    (X.SUSPENDING, E.CANCEL): lambda: Driver(ONE).start().suspend().cancel(),
    (X.SUSPENDING, E.FAIL): lambda: Driver(ONE, refused={"a": "end"}).start().suspend().complete("a"),
    (X.SUSPENDED, E.RESUME): lambda: Driver(ONE).start().suspend().complete("a").resume(),
    (X.SUSPENDED, E.CANCEL): lambda: Driver(ONE).start().suspend().complete("a").cancel(),
    (X.SUSPENDED, E.FAIL): lambda: alone("end", wait_before_seconds=9, timeout_seconds=1).suspend().wake("a", 1),
    (X.FAILURE, E.RERUN): lambda: Driver(ONE).start().complete("a", FAILURE).rerun("a"),
    (X.CANCELLED, E.RERUN): lambda: Driver(ONE).start().complete("a", CANCELLED).rerun("a"),
    (S.PENDING, T.DELAY): lambda: alone(wait_before_seconds=1),
    (S.PENDING, T.FAIL): lambda: alone(pause_before=True, timeout_seconds=1).wake("a", 1),
    (S.PENDING, T.REFUSE): lambda: alone("begin"),
    (S.DELAYED, T.START): lambda: alone(wait_before_seconds=1).wake("a", 1),
    (S.DELAYED, T.SUCCEED): lambda: alone(wait_after_seconds=1).complete("a").wake("a", 1),
    (S.DELAYED, T.FAIL): lambda: alone(wait_after_seconds=1).complete("a", FAILURE).wake("a", 1),
    (S.DELAYED, T.CANCEL): lambda: alone(wait_after_seconds=1).complete("a", CANCELLED).wake("a", 1),
    (S.DELAYED, T.DELAY): lambda: alone(wait_before_seconds=9, timeout_seconds=1, wait_after_seconds=1).wake("a", 1),
    (S.DELAYED, T.REFUSE): lambda: alone("begin", wait_before_seconds=1).wake("a", 1),
    (S.RUNNING, T.DELAY): lambda: alone(retry=Retry(1, 1)).complete("a", FAILURE),
    (S.SKIPPED, T.REFUSE): lambda: alone("skip").complete("a", FAILURE).rerun("a", skip=True),
    (S.FAILURE, T.SKIP): lambda: alone().complete("a", FAILURE).rerun("a", skip=True),
    (S.FAILURE, T.RERUN): lambda: alone().complete("a", FAILURE).rerun("a"),
    (S.CANCELLED, T.RERUN): lambda: alone().complete("a", CANCELLED).rerun("a"),
    (S.SUCCESS, T.RERUN): lambda: handled().complete("h").rerun("a").complete("a", FAILURE),
    (S.SKIPPED, T.RERUN): lambda: (
        handled().complete("h", FAILURE).rerun("h", skip=True).complete("i", FAILURE).rerun("a").complete("a", FAILURE)
    ),
    (S.PENDING, T.START): lambda: Driver(ONE).start(),
    (S.PENDING, T.BLOCK): lambda: Driver(LOST).start().complete("a").complete("b"),
    (S.RUNNING, T.SUCCEED): lambda: Driver(ONE).start().complete("a", SUCCESS),
    (S.RUNNING, T.FAIL): lambda: Driver(ONE).start().complete("a", FAILURE),
    (S.RUNNING, T.CANCEL): lambda: Driver(ONE).start().complete("a", CANCELLED),
    (S.RUNNING, T.REFUSE): lambda: alone("received").complete("a"),
    (S.SUCCESS, T.REFUSE): lambda: Driver(ONE, refused={"a": "end"}).start().complete("a"),
    (S.FAILURE, T.REFUSE): lambda: Driver(ONE, refused={"a": "end"}).start().complete("a", FAILURE),
    (S.RUNNING, T.LAPSE): lambda: Driver(ONE).start().lapse("a"),
    (S.REVERTING, T.LAPSE): lambda: FlowDriver(PAIR).start().run("!a").lapse("a"),
    (S.DECIDING, T.LAPSE): lambda: deciding().lapse("b").answer("b", ()),
    (S.ASKING, T.LAPSE): lambda: asking().lapse("r").answer("r", "REVERT"),
    (X.RUNNING, E.REVERT): lambda: FlowDriver(PAIR).start().run("!a", "a"),
    (S.PENDING, T.IGNORE): lambda: FlowDriver(PAIR, doubts=DOUBT).start().run("a"),
    (S.IGNORE, T.RERUN): lambda: FlowDriver(AGAIN, doubts=DOUBT, r="RETRY").start().run("r", "a", "!c", "c", "a"),
    (S.PENDING, T.DECIDE): lambda: deciding(),
    (S.DECIDING, T.SUCCEED): lambda: deciding().answer("b", ()),
    (S.DECIDING, T.FAIL): lambda: deciding().run("!b"),
    (S.DECIDING, T.CANCEL): lambda: deciding().complete("b", CANCELLED),
    (S.SUCCESS, T.ASK): lambda: asking(),
    (S.ASKING, T.SUCCEED): lambda: asking().answer("r", "REVERT"),
    (S.ASKING, T.FAIL): lambda: asking().run("!r"),
    (S.ASKING, T.CANCEL): lambda: asking().complete("r", CANCELLED),
    (S.SUCCESS, T.REVERT): lambda: FlowDriver(PAIR).start().run("a", "!b", "b"),
    (S.FAILURE, T.REVERT): lambda: FlowDriver(PAIR).start().run("!a"),
    (S.REVERTING, T.SUCCEED): lambda: FlowDriver(PAIR).start().run("!a", "a"),
    (S.REVERTING, T.FAIL): lambda: FlowDriver(PAIR).start().run("!a", "!a"),
    (S.REVERTING, T.CANCEL): lambda: FlowDriver(PAIR).start().run("!a").complete("a", CANCELLED),
    (S.REVERTING, T.REFUSE): lambda: FlowDriver(PAIR, refused={"a": "revert"}).start().run("!a"),
    (S.REVERTED, T.RERUN): lambda: FlowDriver(AGAIN, r="RETRY").start().run("r", "!a", "a"),
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[tuple]:
    """The transitions that the core looks up."""
    steps: set[tuple] = set()

    def spy(look_up: Callable) -> Callable:
        def next_state(state, event):
            reached = look_up(state, event)
            steps.add((state, event, reached))
            return reached

        return next_state

    for name in ("next_execution_state", "next_task_state"):
        monkeypatch.setattr(core_state, name, spy(getattr(core_state, name)))
    return steps


def test_every_entry_of_both_tables_is_exercised(seen):
    """Report those that no scenario reaches."""
    tables = {**EXECUTION_TRANSITIONS, **TASK_TRANSITIONS}
    for (state, event), scenario in SCENARIOS.items():
        seen.clear()
        scenario()
        assert (state, event, tables[state, event]) in seen, f"the scenario does not reach {state} {event}"
    missing = tables.keys() - SCENARIOS.keys()
    assert not missing, f"never exercised: {sorted(map(str, missing))}"


@pytest.mark.parametrize(
    ("states", "events", "table", "look_up"),
    [
        (ExecutionState, ExecutionEvent, EXECUTION_TRANSITIONS, next_execution_state),
        (TaskState, TaskEvent, TASK_TRANSITIONS, next_task_state),
    ],
)
def test_what_a_table_does_not_have_is_illegal(states, events, table, look_up):
    for state, event in product(states, events):
        if (state, event) not in table:
            with pytest.raises(IllegalTransition, match=rf"that is {state} cannot {event}"):
                look_up(state, event)


def test_final_is_final():
    """Nothing but a rerun leaves a final state, and what is not final has a way on."""
    leaving = {event for state, event in EXECUTION_TRANSITIONS if state in FINAL_EXECUTION_STATES}
    assert leaving == {ExecutionEvent.RERUN}
    assert {state for state, _ in EXECUTION_TRANSITIONS} == set(ExecutionState) - {X.SUCCESS, X.REVERTED}
    leaving = {event for state, event in TASK_TRANSITIONS if state in FINAL_TASK_STATES}
    expected = {T.REFUSE, T.RERUN, T.SKIP, T.ASK, T.REVERT}
    assert leaving == expected, "what it publishes or where it leads was refused, it is rerun, asked about, or undone"
    assert {state for state, _ in TASK_TRANSITIONS} - FINAL_TASK_STATES == set(TaskState) - FINAL_TASK_STATES


@pytest.mark.parametrize("state", ExecutionState)
@pytest.mark.parametrize("event", [E.SUSPEND, E.RESUME, E.CANCEL])
def test_an_illegal_act_on_an_execution_changes_nothing(state, event):
    header = Header(state, live=1, generation=3, events=4)
    if (state, event) in EXECUTION_TRANSITIONS:
        assert resolve.steer(header, event, None, NOW).header.state is EXECUTION_TRANSITIONS[state, event]
        return
    with pytest.raises(IllegalTransition):
        resolve.steer(header, event, None, NOW)
    assert header == Header(state, live=1, generation=3, events=4)


@pytest.mark.parametrize("state", sorted(set(TaskState) - ATTEMPTED_TASK_STATES))
@pytest.mark.parametrize("outcome", [SUCCESS, FAILURE, CANCELLED])
def test_ending_a_run_that_does_not_run_changes_nothing(state, outcome):
    """The decision that was in the making is lost with the exception; the slice is as it was."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start()
    driver.marks[0, 1] = Mark(0, state=state, attempt=1)
    before = driver.fork()
    with pytest.raises(IllegalTransition):
        driver.complete("a", outcome)
    assert (driver.header, driver.marks, driver.events) == (before.header, before.marks, before.events)
