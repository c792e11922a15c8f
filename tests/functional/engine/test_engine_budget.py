"""A transaction does only so much: the rest is carried on with, also by another process after a death in between."""

from dataclasses import replace
from typing import Any

import pytest
from driving import OWNER, done, failure, history, names, new_id, rows, start, started, state_of, task_states, wish

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

NOOP = {"action": "std.noop"}
LENGTH = 10
CHAIN: dict[str, Any] = {f"n{k}": NOOP | {"on-success": f"n{k + 1}"} for k in range(LENGTH)} | {f"n{LENGTH}": None}


class Dying(Engine):
    """An engine whose process ends after the first transaction of each verb."""

    def carry_on(self, *args: Any, **more: Any) -> None:
        """Do not get that far."""


@pytest.fixture
def small(settings: Settings) -> Settings:
    return replace(settings, steps_per_transaction=3)


@pytest.fixture
def engine(database: Database, small: Settings) -> Engine:
    return Engine(database, small)


@pytest.fixture
def dying(database: Database, small: Settings) -> Engine:
    return Dying(database, small)


def notes(database: Database, execution_id: str) -> int:
    return len(rows(database, t.outbox, execution_id))


def assert_chain_is_done(engine: Engine, database: Database, execution_id: str) -> None:
    states = task_states(engine, execution_id)
    assert states.pop(f"n{LENGTH}") == "RUNNING"
    assert set(states.values()) == {"SUCCESS"}
    assert notes(database, execution_id) == 0
    numbers = [row["number"] for row in history(database, execution_id)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert done(engine, execution_id, f"n{LENGTH}").execution.state == "SUCCESS"


def test_a_start_goes_on_over_several_transactions(engine: Engine, database: Database) -> None:
    """Ten pure actions at three a transaction: four decisions, and the answer shows where it stands then."""
    answer = start(engine, CHAIN)
    assert answer.execution.generation == 4
    assert max(row["generation"] for row in history(database, answer.execution.id)) == 4
    assert_chain_is_done(engine, database, answer.execution.id)


def test_a_completion_goes_on_over_several_transactions(engine: Engine, database: Database) -> None:
    """The same behind a task that somebody completes."""
    id = started(engine, {"first": {"on-success": "n0"}} | CHAIN)
    done(engine, id, "first")
    assert_chain_is_done(engine, database, id)


@pytest.mark.parametrize("rescue", ["everywhere", "repeat", "another task"])
def test_after_a_death_somebody_carries_on(engine: Engine, dying: Engine, database: Database, rescue: str) -> None:
    """The outbox remembers what a dead process left; a sweep, a repeat or any other completion goes on with it."""
    id = new_id()
    tasks = CHAIN | {"other": {"on-success": "more"}, "more": None}
    first = start(dying, tasks, id=id)
    assert names(first.scheduled) == ["other"]
    assert notes(database, id) == 1
    assert task_states(dying, id)["n9"] == "PENDING"
    if rescue == "everywhere":
        engine.carry_on_everywhere()
    elif rescue == "repeat":
        assert start(engine, tasks, id=id).scheduled == first.scheduled
    else:
        done(engine, id, "other")
    done(engine, id, "other", "more")
    assert_chain_is_done(engine, database, id)


def test_many_deaths_on_the_way(dying: Engine, engine: Engine, database: Database) -> None:
    """One transaction after the other, each by a process of its own: the way is the same."""
    whole = start(engine, CHAIN).execution.id
    pieces = started(dying, CHAIN)
    while notes(database, pieces):
        Engine.carry_on(dying, OWNER, pieces, seconds=0)
    ways = [[(row["number"], row["generation"], row["node_id"], row["state"]) for row in history(database, id)]
            for id in (whole, pieces)]  # fmt: skip
    assert ways[0] == ways[1]
    assert_chain_is_done(engine, database, pieces)


def test_dead_branches_count_as_steps(engine: Engine, dying: Engine, database: Database) -> None:
    """A join below a long ladder of lost joins hears of it, over as many transactions as that takes."""
    tasks: dict[str, Any] = {
        "a": {"on-error": "d0"},
        "b": {"on-success": "j"},
        **{f"d{k}": {"join": "all", "on-success": f"d{k + 1}"} for k in range(8)},
        "d8": {"join": "all", "on-success": "j"},
        "j": {"join": 1, "on-complete": "end"},
        "end": None,
    }
    id = started(engine, tasks)
    engine.complete_task(OWNER, id, failure("b"))
    assert done(dying, id, "a").scheduled == ()
    assert notes(database, id) == 1
    engine.carry_on_everywhere()
    assert notes(database, id) == 0
    assert state_of(engine, id) == "FAILURE"
    assert task_states(engine, id)["j"] == "PENDING"


def test_suspended_in_the_middle(engine: Engine, dying: Engine, database: Database) -> None:
    """The rest waits for the resumption; nobody else carries on with it."""
    id = started(dying, CHAIN)
    assert dying.update_execution(OWNER, id, state=ExecutionState.SUSPENDED).state == "SUSPENDED"
    assert notes(database, id) == 0
    engine.carry_on_everywhere()
    engine.carry_on(OWNER, id)
    assert state_of(engine, id) == "SUSPENDED"
    engine.update_execution(OWNER, id, state=ExecutionState.RUNNING)
    assert_chain_is_done(engine, database, id)


def test_cancelled_in_the_middle(engine: Engine, dying: Engine, database: Database) -> None:
    """Nothing is left to carry on with."""
    id = started(dying, CHAIN)
    dying.update_execution(OWNER, id, state=ExecutionState.CANCELLED)
    assert notes(database, id) == 0
    engine.carry_on_everywhere()
    assert task_states(engine, id)["n9"] == "PENDING"


@pytest.mark.parametrize("width", [1, 2, 7])
def test_a_wide_backlog(engine: Engine, dying: Engine, database: Database, width: int) -> None:
    """Many branches at once, each cut somewhere, come together in one join that runs once."""
    tasks: dict[str, Any] = {f"r{k}": NOOP | {"on-success": [f"s{k}"]} for k in range(width)}
    tasks |= {f"s{k}": NOOP | {"on-success": ["j"]} for k in range(width)} | {"j": {"join": "all"}}
    for verb in (engine, dying):
        id = started(verb, tasks)
        engine.carry_on_everywhere()
        assert task_states(engine, id)["j"] == "RUNNING"
        assert [(row["state"], row["node_id"]) for row in history(database, id)].count(("RUNNING", 2 * width)) == 1
        assert done(engine, id, "j").execution.state == "SUCCESS"


def test_a_sweep_takes_the_oldest_first_and_skips_what_is_gone(
    engine: Engine, dying: Engine, database: Database
) -> None:
    """A sweep does at most `limit` executions at a time; deleted ones do not stop it."""
    ids = [started(dying, CHAIN) for _ in range(3)]
    engine.delete_execution(OWNER, ids[0], force=True)
    engine.carry_on_everywhere(limit=1)
    assert [notes(database, id) for id in ids[1:]] == [0, 1]
    engine.carry_on_everywhere()
    for id in ids[1:]:
        assert_chain_is_done(engine, database, id)


def test_the_repeated_request_is_known_by_its_digest(dying: Engine, engine: Engine, database: Database) -> None:
    """A repeat that has another digest does not carry on with anything."""
    request = wish(CHAIN, id=new_id())
    dying.start_execution(OWNER, request)
    before = history(database, str(request.id))
    with pytest.raises(errors.ExecutionIdInUse):
        engine.start_execution(OWNER, replace(request, digest="other"))
    assert history(database, str(request.id)) == before


@pytest.mark.parametrize("more", [{}, {"on-complete": "a"}], ids=["a circle", "a circle that doubles"])
def test_a_loop_that_never_ends_is_ended(database: Database, small: Settings, more: dict[str, Any]) -> None:
    """A circle of std.noop fails its execution once a task would run too often, and nothing is left to carry on."""
    engine = Engine(database, replace(small, max_iterations=20))
    tasks: dict[str, Any] = {
        "r": NOOP | {"on-success": "a"},
        "a": NOOP | {"on-success": "b"},
        "b": NOOP | {"on-success": "a"} | more,
    }
    execution = start(engine, tasks).execution
    assert execution.state == "FAILURE"
    assert str(execution.info).startswith("Task 'a': It would run more than 20 times")
    assert notes(database, execution.id) == 0
    assert len(rows(database, t.mark, execution.id)) <= 50
