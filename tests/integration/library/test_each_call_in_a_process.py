"""The library door, each call in a process of its own, over the engine's own database and TaskFlow's persistence."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lines(given: dict[str, str]) -> list[str]:
    return Path(given["log"]).read_text().splitlines()


def test_the_scenario_of_2014(calls: Any, given: dict[str, str]) -> None:
    """Two executions of one flow are started, the first is stopped midway, the second completed elsewhere."""
    starting = calls.begin("start", "one_two_three", given)
    first = first_line(starting)
    eventually(lambda: lines(given) == ["one"])
    calls("stop", first)
    assert calls("get_state", first) == "SUSPENDING"
    Path(given["gate"]).touch()
    starting.communicate(timeout=60)
    second = calls("start", "one_two_three", given)
    assert (calls("get_state", first), calls("get_state", second)) == ("SUSPENDED", "RUNNING")
    assert Counter(lines(given)) == {"one": 2, "two": 1, "three": 1}
    calls("complete_task", second, "three", {"by": "another process"})
    assert (calls("get_state", first), calls("get_state", second)) == ("SUSPENDED", "SUCCESS")
    assert calls("resume", first) == first
    assert Counter(lines(given)) == {"one": 2, "two": 2, "three": 2}
    assert calls("get_state", first) == "RUNNING"
    calls("complete_task", first, "three", 3)
    assert calls("get_state", first) == "SUCCESS"


def first_line(process: Any) -> Any:
    return process.stdout.readline().strip().strip('"')


def test_who_is_killed_in_the_middle_of_a_task(calls: Any, given: dict[str, str]) -> None:
    """Another process carries on; what was recorded does not run again."""
    process = calls.begin("start", "mortal", given)
    execution = first_line(process)
    Path(given["gate"]).touch()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert calls("get_state", execution) == "RUNNING"
    calls("resume", execution)
    assert (lines(given), calls("get_state", execution)) == (["first", "second", "second", "third"], "SUCCESS")


def test_eight_processes_at_once(calls: Any, given: dict[str, str]) -> None:
    """Each completes a branch; what follows begins once."""
    execution = calls("start", "branches", given)
    branches = [f"b{number}" for number in range(8)]
    processes = [calls.begin("complete_task", execution, name, 1) for name in branches]
    for process in processes:
        calls.end(process)
    assert Counter(lines(given)) == dict.fromkeys([*branches, "last"], 1)
    calls("complete_task", execution, "b0", 1)
    assert "TaskAlreadyCompleted" in calls.refused("complete_task", execution, "b0", 2)
    assert "TaskNotFound" in calls.refused("complete_task", execution, "nobody", 2)
    calls("complete_task", execution, "last", 1)
    assert calls("get_state", execution) == "SUCCESS"
