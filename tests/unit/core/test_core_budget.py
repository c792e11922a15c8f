"""How much one transaction does never decides how an execution ends."""

import pytest
from driver import Driver

RACE = {
    "t0": {"action": "std.fail", "on-success": ["t2"], "on-complete": ["t4"]},
    "t2": {"on-error": ["t4"]},
    "t3": {"action": "std.noop", "on-success": ["t7"]},
    "t4": {"join": "all", "on-error": ["fail"]},
    "t7": {"join": 3, "on-error": ["t11"]},
    "t11": {"action": "std.fail", "on-error": ["succeed"]},
}


@pytest.mark.parametrize("budget", range(1, 8))
def test_the_same_command_comes_first_at_every_budget(budget):
    """Two branches race for `fail` and `succeed`: the backlog keeps the order in which they got there."""
    tasks = {name: dict(task) for name, task in RACE.items()}
    tasks["t1"] = {"on-success": ["t7"]}
    tasks["t5"] = {"on-success": ["t7"]}
    unlimited = Driver(tasks).start().complete("t1").complete("t5")
    limited = Driver(tasks, budget).start().complete("t1").complete("t5")
    assert (limited.state, limited.header.info) == (unlimited.state, unlimited.header.info)
