"""The history: one row for each state reached, numbered without a gap, and answers that came too late."""

from driver import FAILURE, NOW, SUCCESS, Driver

from lazyengine.core import resolve
from lazyengine.core.state import Event, EventKind, ExecutionState, TaskState


def rows(driver: Driver) -> list[tuple]:
    return [(event.generation, event.kind, event.node, event.state) for event in driver.events]


def test_each_state_reached_is_a_row_of_its_generation():
    """A generation for each verb; the waves and the settling belong to the verb that caused them."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().complete("a").complete("b", FAILURE)
    assert rows(driver) == [
        (1, EventKind.EXECUTION, None, "RUNNING"),
        (1, EventKind.TASK, 0, "RUNNING"),
        (2, EventKind.TASK, 0, "SUCCESS"),
        (2, EventKind.TASK, 1, "RUNNING"),
        (3, EventKind.TASK, 1, "FAILURE"),
        (3, EventKind.EXECUTION, None, "FAILURE"),
    ]
    assert [event.number for event in driver.events] == [1, 2, 3, 4, 5, 6]
    assert {event.at for event in driver.events} == {NOW}


def test_a_mark_knows_the_row_that_records_its_end():
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().complete("a")
    row = driver.events[driver.task("a").finished_event - 1]
    assert (row.node, row.iteration, row.attempt, row.state) == (0, 1, 1, "SUCCESS")
    assert driver.task("b").finished_event is None


def test_suspending_and_resuming_are_rows():
    driver = Driver({"a": {}}).start().suspend().complete("a").resume()
    states = [event.state for event in driver.events if event.kind is EventKind.EXECUTION]
    assert states == ["RUNNING", "SUSPENDING", "SUSPENDED", "RUNNING", "SUCCESS"]


def test_a_late_answer_is_kept_and_changes_nothing():
    driver = Driver({"a": {}, "b": {"on-success": ["fail"]}}).start().complete("b")
    mark = driver.task("a")
    decision = resolve.keep_late(driver.header, mark, FAILURE, NOW)
    assert decision.events == (
        Event(6, 3, NOW, EventKind.LATE_RESULT, TaskState.FAILURE, node=0, iteration=1, attempt=1, late=FAILURE),
    )
    assert decision.marks == {}
    assert decision.header.state is ExecutionState.FAILURE
    driver.apply(decision, set())
    driver.check_books()


def test_a_decision_is_thrown_away_without_a_trace():
    """Deciding changes neither the slice nor what was decided before: the same event decides the same again."""
    driver = Driver({"a": {"on-success": ["b", "b"]}, "b": {}}).start()
    before = driver.fork()
    first = resolve.complete(driver.slice({0}, {(0, 1)}), (0, 1), SUCCESS, NOW)
    second = resolve.complete(driver.slice({0}, {(0, 1)}), (0, 1), SUCCESS, NOW)
    assert first == second
    assert (driver.header, driver.marks) == (before.header, before.marks)
