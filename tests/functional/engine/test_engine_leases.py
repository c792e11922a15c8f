"""Leases that run out: the next attempt on offer; late answers; heartbeats; what stands still; who is asked when."""

from datetime import timedelta
from typing import Any

import pytest
from driving import (
    OWNER,
    PAIR,
    STRANGER,
    Clock,
    claim,
    done,
    failure,
    history,
    names,
    started,
    state_of,
    success,
)  # fmt: skip
from sqlalchemy import update

from lazyengine import errors
from lazyengine.core.state import ExecutionState, TaskState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim, Heartbeat, Rerun, Start

ITEMS: dict[str, Any] = {"a": {"with-items": "i in [1, 2]", "retry": {"count": 1, "delay": 0}}}


def late(database: Database, id: str) -> list[tuple[str, int]]:
    return [(row["state"], row["attempt"]) for row in history(database, id) if row["kind"] == "late_result"]


def test_the_next_attempt_is_on_offer(timed: Engine, clock: Clock, database: Database) -> None:
    """With the same input, to whoever claims; the first worker's answer is refused, and is in the history."""
    id = started(timed, {"a": {"input": {"k": 1}, "action": "x"}})
    claim(timed, "w1", lease_seconds=60)
    assert timed.next_due() == clock.now + timedelta(seconds=60)
    clock.advance(59)
    assert (timed.fire_due(), claim(timed, "w2")) == (0, [])
    clock.advance(1)
    assert (timed.fire_due(), timed.fire_due(), timed.next_due()) == (1, 0, None)
    task = timed.get_task(OWNER, id, "a")
    assert (task.state, task.attempt, task.claimed_by, task.lease_expires_at) == ("RUNNING", 2, None, None)
    (again,) = timed.claim_tasks(OWNER, Claim("w2"))
    assert (again.attempt, again.input) == (2, {"k": 1})
    with pytest.raises(errors.TaskStaleAttempt, match="attempt 2, not 1"):
        timed.complete_task(OWNER, id, success("a", "late", attempt=1))
    with pytest.raises(errors.TaskStaleAttempt):
        timed.complete_task(OWNER, id, success("a", "late", attempt=1))
    with pytest.raises(errors.TaskStaleAttempt):
        timed.heartbeat(OWNER, id, Heartbeat("a", attempt=1, lease_seconds=60))
    assert late(database, id) == [("SUCCESS", 1)]
    timed.complete_task(OWNER, id, success("a", attempt=2))
    assert [row["attempt"] for row in history(database, id) if row["state"] == "RUNNING"] == [None, 1, 2]
    assert state_of(timed, id) == "SUCCESS"


def test_what_has_ended_has_no_lease(timed: Engine, clock: Clock) -> None:
    """It goes on showing who held it."""
    id = started(timed, {"a": None, "b": None})
    claim(timed, "w1")
    done(timed, id, "a")
    task = timed.get_task(OWNER, id, "a")
    assert (task.claimed_by, task.lease_expires_at) == ("w1", None)
    clock.advance(600)
    assert timed.fire_due() == 1


def test_a_heartbeat_in_time_keeps_it(timed: Engine, clock: Clock) -> None:
    """Also one that comes between the look and the transaction."""
    id = started(timed, PAIR)
    claim(timed, lease_seconds=10)
    clock.advance(10)
    timed.heartbeat(OWNER, id, Heartbeat("a", attempt=1, lease_seconds=10))
    assert timed.fire_due() == 0
    clock.advance(10)
    look = timed.database.snapshot

    def late_look(work: Any) -> Any:
        found = look(work)
        timed.database.snapshot = look  # type: ignore[method-assign]
        timed.heartbeat(OWNER, id, Heartbeat("a", lease_seconds=10))
        return found

    timed.database.snapshot = late_look  # type: ignore[method-assign]
    assert timed.fire_due() == 1
    assert timed.get_task(OWNER, id, "a").attempt == 1


def test_only_what_is_not_on_offer_gets_a_lease(timed: Engine, clock: Clock, database: Database) -> None:
    """What came to a worker without a claim has one by its heartbeat; its worker has no name."""
    id = started(timed, PAIR)
    assert timed.heartbeat(OWNER, id, Heartbeat("a", lease_seconds=5)).task.lease_expires_at is None
    with database.engine.begin() as connection:
        connection.execute(update(t.mark).values(offered_at=None))
    task = timed.heartbeat(OWNER, id, Heartbeat("a", lease_seconds=5)).task
    assert (task.lease_expires_at, task.claimed_by) == (clock.now + timedelta(seconds=5), "")
    clock.advance(5)
    timed.fire_due()
    assert timed.claim_tasks(OWNER, Claim("w"))[0].attempt == 2


def test_safe_rerun_false_fails(timed: Engine, clock: Clock) -> None:
    """And its on-error is told."""
    id = started(timed, {"a": {"safe-rerun": False, "on-error": "b"}, "b": None})
    claim(timed)
    clock.advance(60)
    timed.fire_due()
    task = timed.get_task(OWNER, id, "a")
    assert (task.state, task.failure and task.failure.type) == ("FAILURE", "lease")
    assert claim(timed) == ["b"]


def test_items_come_back_one_by_one(timed: Engine, clock: Clock) -> None:
    """No number of an attempt comes twice for an item, though the run is tried again."""
    id = started(timed, ITEMS)
    first = timed.claim_tasks(OWNER, Claim("w1", limit=1))[0]
    clock.advance(60)
    timed.fire_due()
    again = {one.item: one.attempt for one in timed.claim_tasks(OWNER, Claim("w2", limit=9))}
    assert again == {first.item: 2, 1 - (first.item or 0): 1}
    with pytest.raises(errors.TaskStaleAttempt):
        timed.complete_task(OWNER, id, success("a", item=first.item, attempt=1))
    for item, attempt in again.items():
        timed.complete_task(OWNER, id, failure("a", item=item, attempt=attempt))
    assert {one.attempt for one in timed.claim_tasks(OWNER, Claim("w2", limit=9))} == {3}


def test_a_suspended_execution_hands_out_nothing(timed: Engine, clock: Clock, database: Database) -> None:
    """It comes to rest without the worker; resuming hands the next attempt out."""
    id = started(timed, PAIR)
    claim(timed)
    timed.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    clock.advance(60)
    timed.fire_due()
    assert (state_of(timed, id), claim(timed)) == ("SUSPENDED", [])
    with pytest.raises(errors.TaskStaleAttempt):
        timed.complete_task(OWNER, id, success("a", attempt=1))
    with pytest.raises(errors.TaskNotRunning, match="to be handed out again"):
        timed.complete_task(OWNER, id, success("a"))
    assert late(database, id) == [("SUCCESS", 1)]
    timed.update_execution(OWNER, id, state=ExecutionState.RUNNING)
    assert timed.claim_tasks(OWNER, Claim("w2"))[0].attempt == 2
    done(timed, id, "a", "b")
    assert state_of(timed, id) == "SUCCESS"


def test_items_of_a_suspended_execution(timed: Engine, clock: Clock) -> None:
    """They come to rest and go on as one."""
    id = started(timed, ITEMS)
    claim(timed)
    timed.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    clock.advance(60)
    assert (timed.fire_due(), state_of(timed, id), claim(timed)) == (2, "SUSPENDED", [])
    timed.update_execution(OWNER, id, state=ExecutionState.RUNNING)
    assert [one.attempt for one in timed.claim_tasks(OWNER, Claim("w2", limit=9))] == [2, 2]


def test_after_the_end_a_lease_ends_quietly(timed: Engine, clock: Clock, database: Database) -> None:
    """Should the execution go on after all, the worker of before does not count any more."""
    id = started(timed, {"a": None, "b": None})
    claim(timed, lease_seconds=60)
    timed.complete_task(OWNER, id, failure("b"))
    timed.update_execution(OWNER, id, state=ExecutionState.CANCELLED)
    before = history(database, id), timed.get_execution(OWNER, id)
    clock.advance(60)
    assert (timed.fire_due(), timed.fire_due(), timed.next_due()) == (1, 0, None)
    assert (history(database, id), timed.get_execution(OWNER, id)) == before
    timed.rerun_task(OWNER, id, Rerun("b"))
    assert claim(timed) == ["b"]
    assert (timed.fire_due(), claim(timed)) == (1, ["a"])
    assert timed.get_task(OWNER, id, "a").attempt == 2


def test_after_the_deadline(timed: Engine, clock: Clock, database: Database) -> None:
    """Whoever notices first fires it, the answer too; that is refused, kept once, and what follows is handed out."""
    id = started(timed, {"a": {"timeout": 30, "on-error": "b"}, "b": None})
    (one,) = timed.claim_tasks(OWNER, Claim("w1", lease_seconds=600))
    assert (one.timeout_seconds, one.deadline_at) == (30.0, clock.now + timedelta(seconds=30))
    clock.advance(30)
    for _ in range(2):
        with pytest.raises(errors.TaskDeadlinePassed):
            timed.complete_task(OWNER, id, success("a", attempt=1))
    with pytest.raises(errors.TaskDeadlinePassed):
        timed.heartbeat(OWNER, id, Heartbeat("a", lease_seconds=9))
    task = timed.get_task(OWNER, id, "a")
    assert (task.state, task.failure and task.failure.type) == ("FAILURE", "timeout")
    assert (late(database, id), claim(timed), timed.fire_due()) == ([("SUCCESS", 1)], ["b"], 0)


@pytest.mark.parametrize("noticed", [True, False])
def test_items_after_the_deadline(timed: Engine, clock: Clock, database: Database, noticed: bool) -> None:
    id = started(timed, {"a": {"with-items": "i in [1, 2]", "timeout": 30}})
    assert {one.timeout_seconds for one in timed.claim_tasks(OWNER, Claim("w1", limit=9))} == {30.0}
    clock.advance(30)
    if not noticed:
        with pytest.raises(errors.TaskDeadlinePassed):
            timed.heartbeat(OWNER, id, Heartbeat("a", item=1))
    else:
        timed.fire_due()
    with pytest.raises(errors.TaskDeadlinePassed):
        timed.complete_task(OWNER, id, success("a", item=1))
    assert (state_of(timed, id), late(database, id)) == ("FAILURE", [("SUCCESS", 1)])


def test_what_is_scheduled_says_until_when(timed: Engine, clock: Clock) -> None:
    """A repeat of the answer says the same."""
    id = started(timed, {"a": {"on-success": "b"}, "b": {"timeout": 7}})
    first = done(timed, id, "a").scheduled
    assert [(one.timeout_seconds, one.deadline_at) for one in first] == [(7.0, clock.now + timedelta(seconds=7))]
    clock.advance(3)
    assert timed.complete_task(OWNER, id, success("a")).scheduled == first
    assert [one.timeout_seconds for one in timed.claim_tasks(OWNER, Claim("w"))] == [4.0]


def test_the_most_overdue_comes_first(timed: Engine, clock: Clock) -> None:
    """Alarms and leases in one order, as many as asked for."""
    ids = [started(timed, {"a": {"timeout": 30}}), started(timed, PAIR), started(timed, {"c": {"timeout": 10}})]
    assert len(claim(timed, lease_seconds=20)) == 3
    assert timed.next_due() == clock.now + timedelta(seconds=10)
    clock.advance(100)
    assert (timed.fire_due(limit=1), [state_of(timed, id) for id in ids]) == (1, ["RUNNING", "RUNNING", "FAILURE"])
    while timed.fire_due(limit=1):
        pass
    assert [state_of(timed, id) for id in ids] == ["FAILURE", "RUNNING", "FAILURE"]
    assert timed.get_task(OWNER, ids[1], "a").attempt == 2


def test_an_offer_in_the_future_waits(timed: Engine, clock: Clock, database: Database) -> None:
    started(timed, PAIR)
    with database.engine.begin() as connection:
        connection.execute(update(t.mark).values(offered_at=clock.now + timedelta(seconds=5)))
    assert claim(timed) == []
    clock.advance(5)
    assert claim(timed) == ["a"]


def test_all_owners_tasks(engine: Engine) -> None:
    """For whoever hands out the work of everybody."""
    started(engine, {"mine": None})
    started(engine, {"theirs": None}, owner=STRANGER)
    assert sorted(names(engine.claim_tasks(None, Claim("w", limit=9, key="k")))) == ["mine", "theirs"]
    assert sorted(names(engine.claim_tasks(None, Claim("w", limit=9, key="k")))) == ["mine", "theirs"]


# -- how an execution runs --------------------------------------------------------------------------------------------


def test_a_later_start(timed: Engine, clock: Clock) -> None:
    """Its roots are delayed; it can be suspended, resumed and cancelled meanwhile."""
    id = started(timed, PAIR, params={"start_after_seconds": 60})
    task = timed.get_task(OWNER, id, "a")
    assert (state_of(timed, id), task.state, task.attempt) == ("RUNNING", "DELAYED", 0)
    assert task.due_at == timed.next_due() == clock.now + timedelta(seconds=60)
    timed.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
    assert state_of(timed, id) == "SUSPENDED"
    clock.advance(60)
    timed.fire_due()
    assert claim(timed) == []
    timed.update_execution(OWNER, id, state=ExecutionState.RUNNING)
    assert claim(timed, lease_seconds=600) == ["a"]
    other = started(timed, PAIR, params={"start_after_seconds": 60})
    timed.update_execution(OWNER, other, state=ExecutionState.CANCELLED)
    clock.advance(60)
    timed.fire_due()
    assert (claim(timed, "w2"), timed.get_task(OWNER, other, "a").state) == ([], TaskState.DELAYED)


def test_only_the_outermost_starts_later(timed: Engine, clock: Clock) -> None:
    tasks = {"a": {"workflow": "sub", "input": {"start_after_seconds": 9}}}
    more = {"sub": {"tasks": {"b": None}}}
    id = started_with(timed, tasks, more, {"start_after_seconds": 60})
    clock.advance(60)
    timed.fire_due()
    assert claim(timed) == ["b"]
    assert state_of(timed, id) == "RUNNING"


def test_nobody_changes_what_is_read_only(engine: Engine) -> None:
    """Neither it nor what is below it; answers count, it may be resumed, and once it has ended it can be deleted."""
    more = {"sub": {"tasks": {"b": {"on-success": "pause"}}}}
    id = started_with(engine, {"a": {"workflow": "sub"}}, more, {"read_only": True})
    below = engine.get_task(OWNER, id, "a").child_execution_id
    assert below is not None
    for one in (id, below):
        for change in (
            lambda one=one: engine.update_execution(OWNER, one, state=ExecutionState.SUSPENDED),
            lambda one=one: engine.update_execution(OWNER, one, state=ExecutionState.CANCELLED),
            lambda one=one: engine.update_execution(OWNER, one, description="x"),
            lambda one=one: engine.update_execution(OWNER, one, tags=()),
            lambda one=one: engine.delete_execution(OWNER, one, force=True),
            lambda one=one: engine.rerun_task(OWNER, one, Rerun("a")),
        ):
            with pytest.raises(errors.ExecutionReadOnly):
                change()
    done(engine, below, "b")
    assert state_of(engine, id) == "SUSPENDED"
    engine.update_execution(OWNER, below, state=ExecutionState.RUNNING)
    assert state_of(engine, id) == "SUCCESS"
    engine.delete_execution(OWNER, id)


def started_with(engine: Engine, tasks: dict[str, Any], more: dict[str, Any], params: dict[str, Any]) -> str:
    """Start the workflow 'w' of a definition of several."""
    definition = {"version": "2.0", "w": {"tasks": tasks}, **more}
    return engine.start_execution(OWNER, Start(definition, str(params), workflow="w", params=params)).execution.id
