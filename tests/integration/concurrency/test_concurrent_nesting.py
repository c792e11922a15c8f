"""Many processes at the executions of one tree: none waits for another in a circle, and each thing happens once."""

import random
from dataclasses import replace
from typing import Any

import pytest
from crowd import at_once
from driving import done, history, state_of, task_states
from nesting import CANCELLED, RUNNING, SUSPENDED, child, children, nest, states, steer

from lazyengine import errors
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

ITEMS = 12


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, busy_timeout_seconds=30.0, threads=2)


def many(engine: Engine, tasks: dict[str, Any]) -> tuple[str, list[str]]:
    """An execution with a task of `ITEMS` workflows and one behind it."""
    items = {"with-items": f"i in <% range({ITEMS}) %>", "workflow": "v", "on-success": "z"}
    id = nest(engine, {"w": {"a": items, "z": None}, "v": tasks})
    return id, [one.id for one in children(engine, id)]


def test_children_that_end_at_once_complete_their_task_once(
    database: Database, engine: Engine, settings: Settings
) -> None:
    id, lower = many(engine, {"b": None})
    database.dispose()
    at_once(settings, ITEMS, lambda engine, number: done(engine, lower[number], "b"))
    assert task_states(engine, id) == {"a": "SUCCESS", "z": "RUNNING"}
    begun = [row for row in history(database, id) if (row["node_id"], row["state"]) == (1, "RUNNING")]
    assert len(begun) == 1


def test_children_and_parent_that_are_steered_at_once_come_to_rest(
    database: Database, engine: Engine, settings: Settings
) -> None:
    """Whatever came of the crowd, a last wish to the top reaches all."""
    id, lower = many(engine, {"b": {"on-success": "c"}, "c": None})
    database.dispose()

    def work(engine: Engine, number: int) -> None:
        chance = random.Random(number)
        for _ in range(6):
            one = chance.choice([id, lower[number]])
            steer(engine, one, chance.choice([SUSPENDED, RUNNING]))

    at_once(settings, ITEMS, work)
    engine.carry_on_everywhere()
    steer(engine, id, SUSPENDED)
    steer(engine, id, RUNNING)
    assert states(engine, id, *lower) == ["RUNNING"] * (1 + ITEMS)
    for one in lower:
        done(engine, one, "b", "c")
    done(engine, id, "z")
    assert state_of(engine, id) == "SUCCESS"


def test_a_cancelled_tree_ends_whatever_happens_meanwhile(
    database: Database, engine: Engine, settings: Settings
) -> None:
    id, lower = many(engine, {"b": None})
    database.dispose()

    def work(engine: Engine, number: int) -> None:
        try:
            if number:
                done(engine, lower[number], "b")
            else:
                steer(engine, id, CANCELLED)
        except errors.ExecutionFinished:
            assert number

    at_once(settings, ITEMS, work)
    engine.carry_on_everywhere()
    assert state_of(engine, id) == "CANCELLED"
    assert set(states(engine, *lower)) <= {"SUCCESS", "CANCELLED"}
    assert child(engine, id, item=0) == lower[0]
