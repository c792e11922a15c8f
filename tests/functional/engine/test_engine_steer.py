"""Suspend, resume, cancel and the pause command: what each does in each state, and what waits meanwhile."""

import pytest
from driving import (
    DIAMOND,
    OWNER,
    PAIR,
    STRANGER,
    cancellation,
    claim,
    done,
    failure,
    history,
    names,
    started,
    state_of,
    steps,
    success,
    task_states,
)

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db.database import Database
from lazyengine.engine import Engine

SUSPENDED, RUNNING, CANCELLED = ExecutionState.SUSPENDED, ExecutionState.RUNNING, ExecutionState.CANCELLED
WISHES = (SUSPENDED, RUNNING, CANCELLED)


def steer(engine: Engine, execution_id: str, *wishes: ExecutionState) -> str:
    """Bring the execution into each of these states; the state it is in then."""
    return [engine.update_execution(OWNER, execution_id, state=wish).state.value for wish in wishes][-1]


def brought(engine: Engine, state: str) -> str:
    """Start an execution and bring it into a state."""
    id = started(engine, {"a": {"on-success": "b"}, "b": None})
    if state in ("SUSPENDING", "SUSPENDED"):
        steer(engine, id, SUSPENDED)
    if state in ("SUSPENDED", "SUCCESS"):
        done(engine, id, *"ab"[: 1 if state == "SUSPENDED" else 2])
    if state == "FAILURE":
        engine.complete_task(OWNER, id, failure("a"))
    if state == "CANCELLED":
        steer(engine, id, CANCELLED)
    assert state_of(engine, id) == state
    return id


@pytest.mark.parametrize(
    ("state", "wish", "then"),
    [
        ("RUNNING", SUSPENDED, "SUSPENDING"),
        ("RUNNING", RUNNING, "RUNNING"),
        ("RUNNING", CANCELLED, "CANCELLED"),
        ("SUSPENDING", SUSPENDED, "SUSPENDING"),
        ("SUSPENDING", RUNNING, "RUNNING"),
        ("SUSPENDING", CANCELLED, "CANCELLED"),
        ("SUSPENDED", SUSPENDED, "SUSPENDED"),
        ("SUSPENDED", RUNNING, "RUNNING"),
        ("SUSPENDED", CANCELLED, "CANCELLED"),
        ("CANCELLED", CANCELLED, "CANCELLED"),
    ],
)
def test_a_wish_comes_true_and_repeating_it_changes_nothing(
    engine: Engine, database: Database, state: str, wish: ExecutionState, then: str
) -> None:
    """Asking for the state it is in, or on its way to, is fine and writes nothing."""
    id = brought(engine, state)
    assert steer(engine, id, wish) == then
    before = history(database, id), engine.get_execution(OWNER, id)
    assert steer(engine, id, wish) == then
    assert (history(database, id), engine.get_execution(OWNER, id)) == before
    assert before[1].state == then


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "CANCELLED"])
def test_final_is_final(engine: Engine, database: Database, state: str) -> None:
    """Nothing leaves a final state, and the refusal writes nothing."""
    id = brought(engine, state)
    before = history(database, id), engine.get_execution(OWNER, id)
    for wish in WISHES:
        if wish != state:
            with pytest.raises(errors.ExecutionFinished, match=state):
                engine.update_execution(OWNER, id, state=wish, description="not written either")
    assert (history(database, id), engine.get_execution(OWNER, id)) == before


def test_completions_while_suspending(engine: Engine) -> None:
    """They are taken in, hand out nothing, and the last one in flight suspends; resuming hands out all of it."""
    id = started(engine, {"a": {"on-success": ["c", "j"]}, "b": {"on-success": "j"}, "c": None, "j": {"join": "all"}})
    steer(engine, id, SUSPENDED)
    first = engine.complete_task(OWNER, id, success("a"))
    assert (first.scheduled, first.execution.state, first.task.state) == ((), "SUSPENDING", "SUCCESS")
    assert engine.complete_task(OWNER, id, success("a")).replayed
    last = engine.complete_task(OWNER, id, success("b"))
    assert (last.scheduled, last.execution.state) == ((), "SUSPENDED")
    assert claim(engine) == []
    assert steer(engine, id, RUNNING) == "RUNNING"
    assert sorted(claim(engine)) == ["c", "j"]
    assert done(engine, id, "c", "j").execution.state == "SUCCESS"


def test_a_repeat_after_resuming_still_scheduled_nothing(engine: Engine) -> None:
    """What a completion handed out is a fact of its own transaction: the resumption handed the rest out."""
    id = started(engine, PAIR)
    steer(engine, id, SUSPENDED)
    done(engine, id, "a")
    steer(engine, id, RUNNING)
    again = done(engine, id, "a")
    assert (again.replayed, again.scheduled, again.execution.state) == (True, (), "RUNNING")
    assert claim(engine) == ["b"]


def test_resuming_before_it_came_to_rest(engine: Engine) -> None:
    """SUSPENDING goes back to RUNNING; what ended meanwhile is told at once, what is in flight goes on."""
    id = started(engine, {"a": {"on-success": "c"}, "b": None, "c": None})
    steer(engine, id, SUSPENDED)
    done(engine, id, "a")
    assert steer(engine, id, RUNNING) == "RUNNING"
    assert claim(engine) == ["b", "c"]
    assert done(engine, id, "b", "c").execution.state == "SUCCESS"


def test_suspended_with_nothing_left_ends_when_resumed(engine: Engine) -> None:
    """The last task ended while suspended: the end comes with the resumption."""
    id = started(engine, {"a": None})
    steer(engine, id, SUSPENDED)
    assert done(engine, id, "a").execution.state == "SUSPENDED"
    assert steer(engine, id, RUNNING) == "SUCCESS"
    assert engine.get_execution(OWNER, id).output == {}


def test_cancelling_stops_at_once(engine: Engine) -> None:
    """Nothing more is handed out or on offer; the output says why; the tasks stay as they were."""
    id = started(engine, {"a": {"on-success": "b"}, "b": None, "c": None})
    assert steer(engine, id, CANCELLED) == "CANCELLED"
    ended = engine.get_execution(OWNER, id)
    assert (ended.info, ended.output) == ("Cancelled by request", {"result": "Cancelled by request"})
    assert ended.finished_at is not None
    assert claim(engine) == []
    assert task_states(engine, id) == {"a": "RUNNING", "b": "PENDING", "c": "RUNNING"}


def test_cancelling_forgets_what_waited(engine: Engine) -> None:
    """What a suspended execution held back is never told."""
    id = brought(engine, "SUSPENDED")
    steer(engine, id, CANCELLED)
    engine.carry_on_everywhere()
    assert task_states(engine, id) == {"a": "SUCCESS", "b": "PENDING"}


def test_a_cancelled_task_cancels_the_execution_in_the_end(engine: Engine) -> None:
    """It tells no edge, the others go on, and it outranks a failure."""
    id = started(
        engine, {"a": {"on-success": "x", "on-error": "x", "on-complete": "x"}, "b": None, "c": None, "x": None}
    )
    assert engine.complete_task(OWNER, id, cancellation("a")).scheduled == ()
    engine.complete_task(OWNER, id, failure("b"))
    last = done(engine, id, "c")
    assert (last.execution.state, last.execution.output) == (
        "CANCELLED", {"result": "Tasks that were cancelled: 1"},
    )  # fmt: skip


def test_the_pause_command(engine: Engine, database: Database) -> None:
    """Edges before it are told, those behind it wait for the resumption."""
    id = started(engine, {"a": {"on-success": ["b", "pause", "c"]}, "b": None, "c": None})
    answer = done(engine, id, "a")
    assert (names(answer.scheduled), answer.execution.state) == (["b"], "SUSPENDING")
    assert engine.get_execution(OWNER, id).info == "Paused by task 'a'"
    assert done(engine, id, "b").execution.state == "SUSPENDED"
    assert steer(engine, id, RUNNING) == "RUNNING"
    assert claim(engine) == ["c"]
    assert done(engine, id, "c").execution.state == "SUCCESS"
    states = [state for kind, state, _ in steps(database, id) if kind == "execution"]
    assert states == ["RUNNING", "SUSPENDING", "SUSPENDED", "RUNNING", "SUCCESS"]


def test_a_pause_with_nothing_in_flight_suspends_at_once(engine: Engine) -> None:
    """There is nothing to wait for, so SUSPENDING is passed through in the same transaction."""
    id = started(engine, {"a": {"on-success": ["pause", "b"]}, "b": None})
    assert done(engine, id, "a").execution.state == "SUSPENDED"
    steer(engine, id, RUNNING)
    assert done(engine, id, "b").execution.state == "SUCCESS"


def test_fail_and_succeed_commands_end_at_once(engine: Engine) -> None:
    """They take their message along; what was handed out before stays on offer (Mistral: such tasks still run)."""
    id = started(engine, {"a": {"on-success": 'fail(msg="no more")'}, "b": None})
    assert done(engine, id, "a").execution.output == {"result": "no more"}
    assert engine.get_execution(OWNER, id).info == "no more"
    id = started(engine, {"a": {"on-success": "succeed"}, "b": None}, workflow={"output": {"k": 1}})
    assert done(engine, id, "a").execution.output == {"k": 1}
    assert claim(engine, limit=9) == ["b", "b"]


def test_what_stands_before_fail_is_done(engine: Engine) -> None:
    """A task told before `fail` is handed out although the execution ends with it."""
    id = started(engine, {"a": {"on-success": ["notify", "fail"]}, "notify": None})
    answer = done(engine, id, "a")
    assert (answer.execution.state, [task.task for task in answer.scheduled]) == ("FAILURE", ["notify"])
    assert claim(engine) == ["notify"]


def test_descriptions_and_tags_change_in_any_state(engine: Engine) -> None:
    """Also after the end; the history knows nothing of it."""
    for state in ("RUNNING", "SUCCESS"):
        id = brought(engine, state)
        before = engine.get_execution(OWNER, id)
        changed = engine.update_execution(OWNER, id, description="new", tags=("t", "u"))
        assert (changed.description, changed.tags) == ("new", ("t", "u"))
        assert engine.update_execution(OWNER, id, tags=()).tags == ()
        after = engine.get_execution(OWNER, id)
        assert (after.description, after.state, after.generation) == ("new", state, before.generation)


def test_only_the_owner_steers(engine: Engine) -> None:
    """Another owner's execution is as if it were not there."""
    id = started(engine, DIAMOND)
    for wish in WISHES:
        with pytest.raises(errors.ExecutionNotFound):
            engine.update_execution(STRANGER, id, state=wish)
    assert state_of(engine, id) == "RUNNING"
