"""A flow run by TaskFlow's serial engine, and the same by the core, in the order in which TaskFlow's tasks ended."""

import logging
import random
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from taskflow import engines
from taskflow.engines.action_engine.executor import REVERTED, ParallelTaskExecutor
from taskflow.exceptions import InvalidState, StorageFailure, WrappedFailure
from taskflow.flow import Flow
from taskflow.retry import History

from lazyengine.compilers.flow import CompiledFlow, compile_flow
from lazyengine.core.graph import Decider, Key, Kind, Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import ATTEMPTED_TASK_STATES, Failure, Mark, Outcome, Strategy, TaskState
from tests.oracle.flows.random_flows import Broken, Calls
from tests.unit.core.driver import Driver

logging.getLogger("taskflow").setLevel(logging.CRITICAL + 1)

MOST_STALLS = 20


@dataclass
class Ending:
    """What a run comes to.

    :param atoms: by name: state, times executed, times reverted
    :param results: by name of those that succeeded; of a controller all its results with the failed atoms of each
    """

    state: str
    atoms: dict[str, tuple[str, int, int]]
    results: dict[str, Any]


# -- TaskFlow ---------------------------------------------------------------------------------------------------------


class LazyFuture(Future):
    """Runs when it is waited for; what was handed out is not called off."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self.call = call

    def cancel(self) -> bool:
        return False


class LazyExecutor(ParallelTaskExecutor):
    def _create_executor(self, max_workers=None):
        return None

    def start(self):
        """Nothing to start."""

    def stop(self):
        """Nothing to stop."""

    def _submit_task(self, function, task, *args, **kwargs):
        future = LazyFuture(lambda: function(task, *args, **kwargs))
        future.atom = task
        return future


@dataclass
class TaskFlowRun:
    """One flow in TaskFlow's serial engine.

    :param order: which of those under way ends next, or None for TaskFlow's own order
    :param suspend_at: how many atoms end before it is suspended
    :param retries_first: let controllers end before any task does
    :param engine: the engine that runs it
    :param follow: the order in which its atoms are to end, as `ended` has it, in the place of `order`
    :ivar ended: the names of atoms in the order in which they ended; None where it was suspended
    :ivar stalls: how often it stopped by itself although there was more to do
    :ivar executed: the atoms that were executed and not reverted since
    :ivar reverts_unbegun: it has reverted an atom that it had not executed
    """

    flow: Flow
    calls: Calls
    order: random.Random | None = None
    suspend_at: int | None = None
    retries_first: bool = False
    engine: str = "serial"
    follow: list[str | None] | None = None
    ended: list[str | None] = field(default_factory=list)
    stalls: int = 0
    executed: set[str] = field(default_factory=set)
    reverts_unbegun: bool = False
    asked_to_stop: bool = False

    def run(self) -> Ending:
        engine = self.loaded = engines.load(self.flow, engine=self.engine)
        self.steps = iter(name for name in self.follow or () if name)
        if self.order or self.follow is not None:
            engine._task_executor = LazyExecutor()
        engine.compile()
        if self.order or self.follow is not None:
            engine._runtime.builder._waiter = self.wait
        self.record(engine._runtime.completer)
        while True:
            with suppress(Broken, InvalidState, StorageFailure, WrappedFailure):
                engine.run()
            if engine.storage.get_flow_state() not in ("SUSPENDED", "RUNNING"):
                return self.ending()
            self.stalls += not self.asked_to_stop
            self.asked_to_stop = False
            if self.stalls > MOST_STALLS:
                return self.ending()

    def wait(self, futures: set[Any], timeout: float) -> tuple[set[Any], set[Any]]:
        done = [future for future in futures if future.done()] if self.retries_first else []
        by_name = {future.atom.name: future for future in (done or futures)}
        if self.follow is None:
            assert self.order is not None
            chosen = by_name[self.order.choice(sorted(by_name))]
        else:
            name = next(self.steps)
            assert name in by_name, f"{name} ends in the other engine; here these are under way: {sorted(by_name)}"
            chosen = by_name[name]
        if isinstance(chosen, LazyFuture) and not chosen.done():
            chosen.set_result(chosen.call())
        return {chosen}, futures - {chosen}

    def record(self, completer: Any) -> None:
        complete = completer.complete

        def recorded(node: Any, outcome: str, result: Any) -> None:
            if len(self.ended) == self.suspend_at:
                self.loaded.suspend()
                self.asked_to_stop = True
                self.ended.append(None)
            self.ended.append(node.name)
            self.reverts_unbegun |= outcome == REVERTED and node.name not in self.executed
            (self.executed.discard if outcome == REVERTED else self.executed.add)(node.name)
            complete(node, outcome, result)

        completer.complete = recorded

    def ending(self) -> Ending:
        storage, atoms, results = self.loaded.storage, {}, {}
        for atom in self.loaded._runtime.iterate_nodes(("task", "retry")):
            name = atom.name
            state = storage.get_atom_state(name)
            atoms[name] = (state, self.calls.executed[name], self.calls.reverted[name])
            if state == "SUCCESS":
                results[name] = storage.get_execute_result(name)
                if hasattr(atom, "on_failure"):
                    results[name] = [(value, sorted(failures)) for value, failures in results[name]]
        return Ending(storage.get_flow_state(), atoms, results)


# -- the core ---------------------------------------------------------------------------------------------------------


class FlowHost(Host):
    """Keeps results and histories, and asks the deciders and controllers of the flow itself."""

    driver: Driver

    def __init__(self, compiled: CompiledFlow) -> None:
        self.compiled = compiled
        self.results: dict[int, Any] = {}
        self.histories: dict[int, list[tuple[Any, dict[str, Any]]]] = {}

    def is_ignored(self, id: int) -> bool:
        mark = self.driver.marks.get((id, 1))
        return mark is not None and mark.state is TaskState.IGNORE

    def allows(self, node: Node, decider: Decider, answer: Outcome | None = None) -> bool:
        sources = {one.link[0] for one in node.deciders}
        asked = {id for id in sources if id in self.compiled.atoms and not self.is_ignored(id)}
        source = decider.link[0]
        if source in self.compiled.atoms and source not in asked:
            return True
        history = {self.compiled.nodes[id].name: self.results[id] for id in asked}
        try:
            return bool(self.compiled.questions[decider.link](history=history))
        except Broken as broken:
            raise Refused(str(broken)) from broken

    def strategy(self, controller: int, source: int, mark: Mark, answer: Outcome | None = None) -> Strategy:
        history = self.histories.get(controller)
        if not history:
            raise Refused("it has not run")
        history[-1][1].setdefault(self.compiled.nodes[source].name, mark.outcome)
        try:
            return Strategy(self.compiled.atoms[controller].on_failure(history=History(history)))
        except Broken as broken:
            raise Refused(str(broken)) from broken

    def reopen(self, node: Node, key: Key, last: bool) -> None:
        self.results.pop(node.id, None)
        self.histories.pop(node.id, None)

    def execute(self, node: Node) -> Outcome:
        atom, history = self.compiled.atoms[node.id], self.histories.setdefault(node.id, [])
        try:
            result = atom.execute(history=History(history)) if node.kind is Kind.RETRY else atom.execute()
        except Broken as broken:
            return Outcome(TaskState.FAILURE, None, Failure("Broken", str(broken)))
        self.results[node.id] = result
        if node.kind is Kind.RETRY:
            history.append((result, {}))
        return Outcome(TaskState.SUCCESS, result)

    def undo(self, node: Node) -> Outcome:
        atom = self.compiled.atoms[node.id]
        try:
            atom.revert(history=History(self.histories.get(node.id, [])))
        except Broken as broken:
            return Outcome(TaskState.FAILURE, None, Failure("Broken", str(broken)))
        self.histories.pop(node.id, None)
        return Outcome(TaskState.SUCCESS)


@dataclass
class CoreRun:
    """The same flow in the core."""

    flow: Flow
    calls: Calls

    def __post_init__(self) -> None:
        self.compiled = compile_flow(self.flow)
        self.host = FlowHost(self.compiled)
        self.driver = Driver({}, nodes=self.compiled.nodes)
        self.driver.host, self.host.driver = self.host, self.driver

    def follow(self, ended: list[str | None]) -> Ending:
        """Let what is under way end in a given order."""
        self.driver.start()
        for name in ended:
            if name is None:
                self.driver.suspend()
                continue
            if not self.under_way():
                self.driver.resume()
            self.end(name)
        if self.driver.state == "SUSPENDED":
            self.driver.resume()
        assert not self.under_way(), f"still under way: {self.under_way()}"
        return self.ending()

    def under_way(self) -> list[str]:
        marks = self.driver.marks.values()
        return [self.compiled.nodes[mark.node].name for mark in marks if mark.state in ATTEMPTED_TASK_STATES]

    def end(self, name: str) -> None:
        assert name in self.under_way(), f"{name} ends in TaskFlow; here these are under way: {self.under_way()}"
        node = self.compiled.nodes[self.driver.ids[name]]
        reverting = self.driver.task(name).state is TaskState.REVERTING
        self.driver.complete(name, self.host.undo(node) if reverting else self.host.execute(node))

    def ending(self) -> Ending:
        atoms, results = {}, {}
        for id, atom in self.compiled.atoms.items():
            name, state = atom.name, self.driver.task(atom.name).state
            atoms[name] = (str(state), self.calls.executed[name], self.calls.reverted[name])
            if state is TaskState.SUCCESS:
                results[name] = self.host.results[id]
                if id in self.host.histories and self.compiled.nodes[id].kind is Kind.RETRY:
                    results[name] = [(value, sorted(failed)) for value, failed in self.host.histories[id]]
        return Ending(str(self.driver.state), atoms, results)
