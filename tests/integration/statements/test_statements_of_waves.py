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


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_dead_branches_cost_by_their_depth(engine: Engine, depth: int) -> None:
    """A join below a branch that was not taken has to hear of it: at most two statements for each task on the way."""
    branch = {f"d{n}": {"on-success": f"d{n + 1}"} for n in range(depth - 1)} | {f"d{depth - 1}": {"on-success": "j"}}
    rest: dict[str, Any] = {"b": None, "k": {"on-success": "j"}, "j": {"join": "all"}}
    assert statements_of_first(engine, {"a": {"on-success": "b", "on-error": "d0"}} | branch | rest) <= 8 + 2 * depth


def test_width_costs_nothing(engine: Engine) -> None:
    """However many tasks a completion hands out, or pure actions it works off side by side."""
    for task in (None, NOOP):
        counts = [
            statements_of_first(engine, {"a": {"on-success": list(row)}, "other": None} | row)
            for row in ({f"b{n}": task for n in range(width)} for width in (1, 10, 300))
        ]
        assert set(counts) == {counts[0]}
        assert counts[0] <= 9


def test_commands_cost_little(engine: Engine) -> None:
    """An end by command withdraws what is on offer; with edges before it that makes nine."""
    others: dict[str, Any] = {"b": None, "c": None}
    assert statements_of_first(engine, {"a": {"on-success": "succeed"}} | others) <= 8
    assert statements_of_first(engine, {"a": {"on-success": ["b", "succeed"]}} | others) <= 10
