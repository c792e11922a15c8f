"""Random flows over TaskFlow's persistence, one verb after the other, against TaskFlow's serial engine.

Tasks are handed out and completed one by one in the order in which they end in TaskFlow; nothing but the storage is
between two verbs.  What is not compared, and why:

* Retry controllers end within a verb, those that begin together in the order of the flow.  So none fails as it is
  executed, and nothing is stopped at the end of one.
* Once a flow is broken, controllers are not asked any more about what fails while it comes to rest, so their histories
  are left out where a flow ends as FAILURE.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from taskflow.exceptions import InvalidState, StorageFailure, WrappedFailure
from taskflow.flow import Flow
from taskflow.persistence.backends import impl_memory
from taskflow.persistence.models import FlowDetail

from lazyengine.controller import Controller
from lazyengine.records import Assignment
from lazyengine.taskflow_visit import restore_results
from tests.oracle.flows.both_engines import Ending, TaskFlowRun
from tests.oracle.flows.random_flows import Broken, Calls, RandomFlow

logging.getLogger("taskflow").setLevel(logging.CRITICAL + 1)

SEEDS = 120
WRONG = (Broken, InvalidState, StorageFailure, WrappedFailure)
ENDS = ("SUCCESS", "REVERTED", "FAILURE")


class DoorRun:
    """One flow through the library door."""

    def __init__(self, flow: Flow, calls: Calls) -> None:
        self.flow, self.calls = flow, calls
        self.backend = impl_memory.MemoryBackend({})
        self.handed_out: dict[str, Assignment] = {}
        self.door = Controller(self.backend, self.note)

    def note(self, assignment: Assignment) -> None:
        assert assignment.task not in self.handed_out, f"{assignment.task} is handed out twice"
        self.handed_out[assignment.task] = assignment

    def end(self, name: str) -> None:
        assignment = self.handed_out.pop(name)
        self.door.complete_task(self.execution, name, self.call(self.task(name), assignment))

    def task(self, name: str) -> Any:
        def find(flow: Flow) -> Any:
            for one in flow:
                found = find(one) if isinstance(one, Flow) else one
                if found is not None and (isinstance(one, Flow) or one.name == name):
                    return found
            return None

        return find(self.flow)

    def call(self, task: Any, assignment: Assignment) -> Any:
        try:
            return task.revert() if assignment.reverts else task.execute()
        except Broken as broken:
            return broken

    @property
    def detail(self) -> FlowDetail:
        with closing(self.backend.get_connection()) as connection:
            return connection.get_flow_details(self.execution)

    def run(self, choose: Callable[[list[str]], str | None]) -> Ending:
        """
        :param choose: which of those handed out ends next; None is a stop, which is gone on from when all has landed
        """
        self.execution = self.door.start(self.flow)
        while self.door.get_state(self.execution) not in ENDS:
            if not self.handed_out:
                assert self.door.get_state(self.execution) == "SUSPENDED"
                self.door.start(execution=self.execution)
                continue
            name = choose(sorted(self.handed_out))
            if name is None:
                self.door.stop(self.execution)
            else:
                self.end(name)
        return self.ending()

    def ending(self) -> Ending:
        atoms, results = {}, {}
        for one in self.detail:
            atoms[one.name] = (one.state, self.calls.executed[one.name], self.calls.reverted[one.name])
            if one.state == "SUCCESS":
                results[one.name] = one.results
                if isinstance(one.results, list):
                    restore_results(one)
                    results[one.name] = [(value, sorted(failures)) for value, failures in one.results]
        return Ending(self.door.get_state(self.execution), atoms, results)


def follow(ended: list[str | None], tasks: Callable[[str], Any]) -> Callable[[list[str]], str | None]:
    """Let tasks end in the order of TaskFlow; retry controllers end by themselves."""
    left = iter([name for name in ended if name is None or tasks(name) is not None])

    def choose(handed_out: list[str]) -> str | None:
        name = next(left)
        assert name is None or name in handed_out, f"{name} ends in TaskFlow; here these are under way: {handed_out}"
        return name

    return choose


def stops_at_a_controller(ended: list[str | None], tasks: Callable[[str], Any]) -> bool:
    follows = ended[ended.index(None) + 1 :] if None in ended else []
    return bool(follows) and follows[0] is not None and tasks(follows[0]) is None


@pytest.mark.parametrize("raising", [False, True], ids=["", "deciders and controllers that raise"])
@pytest.mark.parametrize("stops", [False, True], ids=["", "stopped on the way"])
def test_random_flows_end_as_in_taskflow(raising: bool, stops: bool) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(6000, 6000 + SEEDS):
        random_flow = RandomFlow(seed, raising, failing=False)
        suspend_at = seed % 8 if stops else None
        theirs = TaskFlowRun(*random_flow.build(), random.Random(seed), suspend_at, retries_first=True)
        expected = theirs.run()
        ours = DoorRun(*random_flow.build())
        if stops_at_a_controller(theirs.ended, ours.task):
            continue
        found = ours.run(follow(theirs.ended, ours.task))
        if expected.state == "FAILURE":
            found.results = expected.results = {}
        assert found == expected, f"seed {seed}"
        kinds[found.state] += 1
    assert kinds["SUCCESS"] > SEEDS / 6
    assert kinds["REVERTED"] > SEEDS / 6
    assert kinds["FAILURE"] > 1


def test_random_flows_come_to_an_end() -> None:
    """In any order, stopped anywhere, whatever fails."""
    for seed in range(7000, 7000 + SEEDS):
        chance = random.Random(seed)
        ours = DoorRun(*RandomFlow(seed, raising=True).build())
        ours.run(lambda names, chance=chance: chance.choice([*names, None]))
        assert {one.state for one in ours.detail}.isdisjoint({"RUNNING", "REVERTING", "RETRYING"}), f"seed {seed}"
