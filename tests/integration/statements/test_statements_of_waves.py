"""What a completion costs that reaches further than the next task: two statements for each wave, none for each task."""

from typing import Any

import pytest
from driving import OWNER, started, success
from observed import observed

from lazyengine.engine import Engine

NOOP = {"action": "std.noop"}


def statements_of_first(engine: Engine, tasks: dict[str, Any]) -> int:
    id = started(engine, tasks)
    with observed(engine.database) as statements:
        engine.complete_task(OWNER, id, success("a"))
    return len(statements)


@pytest.mark.parametrize("depth", [1, 2, 5, 1000])
def test_dead_branches_cost_no_more_for_their_depth(engine: Engine, depth: int) -> None:
    """A join below a branch that was not taken hears of it at once, over whatever stands in between."""
    branch = {f"d{n}": {"on-success": f"d{n + 1}"} for n in range(depth - 1)} | {f"d{depth - 1}": {"on-success": "j"}}
    rest: dict[str, Any] = {"b": None, "k": {"on-success": "j"}, "j": {"join": "all"}}
    assert statements_of_first(engine, {"a": {"on-success": "b", "on-error": "d0"}} | branch | rest) <= 9


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_lost_joins_cost_two_each(engine: Engine, depth: int) -> None:
    """A join that is lost is written down, so a ladder of them costs two statements for each."""
    ladder = {f"j{n}": {"join": "all", "on-success": f"j{n + 1}"} for n in range(depth)} | {
        f"j{depth}": {"join": "all"}
    }
    other = {f"k{n}": {"on-success": f"j{n}"} for n in range(1, depth + 1)}
    tasks: dict[str, Any] = {"a": {"on-success": "b", "on-error": "j0"}, "b": None}
    assert statements_of_first(engine, tasks | ladder | other) <= 9 + 2 * depth


def test_width_costs_nothing(engine: Engine) -> None:
    """However many tasks a completion hands out, or pure actions it works off side by side.

    On PostgreSQL, where a statement takes its rows all at once, it is one statement for 32 rows and a few for the rest;
    a task has four rows at most.
    """
    for task in (None, NOOP):
        first, *wider = [
            statements_of_first(engine, {"a": {"on-success": list(row)}, "other": None} | row)
            for row in ({f"b{n}": task for n in range(width)} for width in (1, 10, 300))
        ]
        for width, count in zip((10, 300), wider, strict=True):
            more = 4 * width / 32 + 6 if engine.database.dialect == "postgresql" else 0
            assert count - first <= more
        assert first <= 9


def test_commands_cost_little(engine: Engine) -> None:
    """An end by command costs what any end costs, with edges before it as without."""
    others: dict[str, Any] = {"b": None, "c": None}
    assert statements_of_first(engine, {"a": {"on-success": "succeed"}} | others) <= 8
    assert statements_of_first(engine, {"a": {"on-success": ["b", "succeed"]}} | others) <= 9
