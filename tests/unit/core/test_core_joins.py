"""Joins (Mistral's facts by name)."""

from dataclasses import replace

import pytest
from driver import FAILURE, Driver, compile_nodes

from lazyengine.core.state import ExecutionState, Failure, TaskState

FAN_IN = {"a": {"on-success": ["j"]}, "b": {"on-success": ["j"]}, "c": {"on-success": ["j"]}, "j": {}}


def fan_in(join: str | int) -> Driver:
    return Driver({**FAN_IN, "j": {"join": join}}).start()


def test_join_all():
    """join-all: runs once when every inbound task chose it."""
    driver = fan_in("all").complete("a").complete("c")
    assert driver.task("j").state is TaskState.PENDING
    driver.complete("b")
    assert driver.running() == [("j", 1)]
    assert driver.complete("j").state is ExecutionState.SUCCESS


def test_join_all_not_triggered():
    """join-all-not-triggered: one inbound task ended without choosing it: it fails, never having run."""
    driver = Driver({"a": {"on-success": ["j"]}, "b": {"on-error": ["j"]}, "j": {"join": "all"}}).start()
    driver.complete("a").complete("b")
    mark = driver.task("j")
    assert (mark.state, mark.attempt, mark.started_at) == (TaskState.FAILURE, 0, None)
    assert driver.state is ExecutionState.FAILURE
    info = "1 of the 2 tasks that lead here did not choose it; it joins 2"
    assert driver.header.info == f"Task 'j' failed: {info}"
    assert driver.outcomes[driver.ids["j"], 1].failure == Failure("join", info)


def test_join_all_early_error():
    """join-all-early-error: it fails without waiting for the inbound tasks that still run."""
    driver = fan_in("all").complete("a").complete("b", FAILURE)
    assert driver.task("j").state is TaskState.FAILURE
    assert driver.running() == [("c", 1)]
    driver.complete("c")
    assert driver.state is ExecutionState.FAILURE


@pytest.mark.parametrize("ends", [True, False])
def test_what_chooses_a_join_that_is_lost_counts_for_the_end(ends, monkeypatch):
    """It leads nowhere else, so its variables would be lost; the join itself fails once."""
    told = []
    nodes = [replace(node, ends=ends) for node in compile_nodes({**FAN_IN, "j": {"join": "all"}})]
    driver = Driver({}, nodes=tuple(nodes)).start()
    monkeypatch.setattr(driver.host, "hear", lambda node, key, source: told.append(("hear", node.name, source)))
    monkeypatch.setattr(driver.host, "last", lambda node, key: told.append(("last", node.name, key)))
    driver.complete("a").complete("b", FAILURE)
    ended = [("last", "b", (1, 1)), ("last", "j", (3, 1))] if ends else []
    assert told == [("hear", "j", (0, 1)), *ended]
    del told[:]
    driver.complete("c")
    assert told == [("hear", "j", (2, 1)), *[("last", "j", (3, 1))] * ends]
    assert [event.state for event in driver.events if event.node == 3] == ["FAILURE"]


def test_join_error_handled():
    """join-error-handled: a join that cannot run tells its own on-error, which handles it."""
    b = {"on-success": ["j"], "on-error": ["noop"]}
    driver = Driver({**FAN_IN, "b": b, "j": {"join": "all", "on-error": ["h"]}, "h": {}}).start()
    driver.complete("a").complete("b", FAILURE).complete("c")
    assert driver.running() == [("h", 1)]
    assert driver.complete("h").state is ExecutionState.SUCCESS


def test_join_never_triggered():
    """join-never-triggered: chosen by nobody it has no state of its own and fails nothing."""
    driver = Driver({"a": {"on-error": ["j"]}, "b": {"on-error": ["j"]}, "j": {"join": "all"}}).start()
    driver.complete("a").complete("b")
    assert driver.state is ExecutionState.SUCCESS
    assert driver.task("j").state is TaskState.PENDING


def test_join_one():
    """join-one: runs after the first trigger without waiting for the rest."""
    driver = fan_in("one").complete("b")
    assert driver.running() == [("a", 1), ("c", 1), ("j", 1)]


@pytest.mark.parametrize("before", [True, False])
def test_join_one_second_trigger(before):
    """join-one-second-trigger, our own rule: a join fires exactly once; later triggers change nothing."""
    driver = fan_in("one").complete("b")
    for name in ("j", "a", "c") if before else ("a", "c", "j"):
        driver.complete(name)
    assert driver.state is ExecutionState.SUCCESS
    assert driver.scheduled.count((driver.ids["j"], 1)) == 1
    assert (driver.ids["j"], 2) not in driver.marks


def test_join_n():
    """join-n: runs when N inbound tasks chose it, though another one is lost."""
    driver = fan_in(2).complete("a", FAILURE).complete("b")
    assert driver.task("j").state is TaskState.PENDING
    assert driver.complete("c").running() == [("j", 1)]


def test_join_n_impossible():
    """join-n-impossible: fails once more than (inbound - N) inbound tasks are lost."""
    driver = fan_in(2).complete("a", FAILURE).complete("b", FAILURE)
    assert driver.task("j").state is TaskState.PENDING  # nobody has chosen it yet
    assert driver.complete("c").task("j").state is TaskState.FAILURE


def test_a_join_of_more_than_lead_to_it_fails_when_chosen():
    driver = Driver({"a": {"on-success": ["j"]}, "j": {"join": 2}}).start().complete("a")
    assert driver.task("j").state is TaskState.FAILURE
    assert driver.state is ExecutionState.FAILURE


def test_join_counts_task_names():
    """join-counts-task-names: one task that names the join in two clauses, or runs twice, is one."""
    twice = {"a": {"on-success": ["j"], "on-complete": ["j"]}, "b": {"on-success": ["j"]}, "j": {"join": 2}}
    driver = Driver(twice).start().complete("a")
    assert driver.task("j").state is TaskState.PENDING
    assert driver.complete("b").running() == [("j", 1)]
    repeated = {
        "a": {"on-success": ["r", "r"]},
        "r": {"on-success": ["j"]},
        "b": {"on-success": ["j"]},
        "j": {"join": 2},
    }
    driver = Driver(repeated).start().complete("a").complete("r", iteration=2).complete("r", iteration=1)
    assert driver.task("j").state is TaskState.PENDING
    assert driver.complete("b").running() == [("j", 1)]


def test_join_unreachable_inbound():
    """join-unreachable-inbound: an inbound task that no live route can reach any more is lost."""
    description = {
        "a": {"on-error": ["x"], "on-success": ["noop"]},
        "x": {"on-success": ["y"]},
        "y": {"on-success": ["j"]},
        "b": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("b").complete("a")
    assert driver.task("j").state is TaskState.FAILURE
    assert driver.task("x").state is driver.task("y").state is TaskState.PENDING


def test_join_error_trigger_counts():
    """join-error-trigger-counts: a failed inbound task that names the join in on-error or on-complete chooses it."""
    description = {"a": {"on-error": ["j"]}, "b": {"on-complete": ["j"]}, "j": {"join": "all"}}
    driver = Driver(description).start().complete("a", FAILURE).complete("b", FAILURE)
    assert driver.running() == [("j", 1)]
    assert driver.complete("j").state is ExecutionState.FAILURE  # that of b is not handled


def test_join_waits_for_possible():
    """join-waits-for-possible: it waits while an inbound task may still be reached through others."""
    description = {
        "a": {"on-success": ["x"]},
        "b": {"on-success": ["x"], "on-error": ["noop"]},
        "x": {"on-success": ["j"]},
        "c": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("c").complete("b", FAILURE)
    assert driver.task("j").state is TaskState.PENDING
    assert driver.complete("a").complete("x").running() == [("j", 1)]


def test_join_error_cascades():
    """join-error-cascades: a failed join is a lost inbound task of the next join."""
    description = {
        "a": {"on-success": ["j"]},
        "b": {"on-success": ["noop"], "on-error": ["j"]},
        "c": {"on-success": ["k"]},
        "j": {"join": "all", "on-success": ["k"]},
        "k": {"join": "all"},
    }
    driver = Driver(description).start().complete("c").complete("a").complete("b")
    assert driver.task("j").state is driver.task("k").state is TaskState.FAILURE
    assert driver.header.unhandled == 2
