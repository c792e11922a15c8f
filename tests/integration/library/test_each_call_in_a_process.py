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
    first, _ = starting.answer()
    eventually(lambda: lines(given) == ["one"])
    calls("stop", first)
    assert calls("get_state", first) == "SUSPENDING"
    Path(given["gate"]).touch()
    assert starting.ended() == 0
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


def test_from_processes_that_have_nothing_in_common(calls_anew: Any, given: dict[str, str]) -> None:
    """A flow is the same in each interpreter, also if that hashes strings in another way."""
    Path(given["gate"]).touch()
    execution = calls_anew("start", "one_two_three", given)
    calls_anew("complete_task", execution, "three", 3)
    assert calls_anew("get_state", execution) == "SUCCESS"


def test_who_is_killed_in_the_middle_of_a_task(calls: Any, given: dict[str, str]) -> None:
    """Another process carries on; what was recorded does not run again."""
    starting = calls.begin("start", "mortal", given)
    execution, _ = starting.answer()
    Path(given["gate"]).touch()
    assert starting.ended() == -signal.SIGKILL
    assert calls("get_state", execution) == "RUNNING"
    calls("resume", execution)
    assert (lines(given), calls("get_state", execution)) == (["first", "second", "second", "third"], "SUCCESS")


def test_eight_processes_at_once(calls: Any, given: dict[str, str]) -> None:
    """Each completes a branch; what follows begins once."""
    execution = calls("start", "branches", given)
    branches = [f"b{number}" for number in range(8)]
    completing = [calls.begin("complete_task", execution, name, 1) for name in branches]
    assert [(one.answer(), one.ended()) for one in completing] == [((None, None), 0)] * len(branches)
    assert Counter(lines(given)) == dict.fromkeys([*branches, "last"], 1)
    calls("complete_task", execution, "b0", 1)
    assert calls.refused("complete_task", execution, "b0", 2) == "TaskAlreadyCompleted"
    assert calls.refused("complete_task", execution, "nobody", 2) == "TaskNotFound"
    calls("complete_task", execution, "last", 1)
    assert calls("get_state", execution) == "SUCCESS"
