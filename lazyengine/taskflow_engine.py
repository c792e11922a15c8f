"""An engine for TaskFlow: `taskflow.engines.load(flow, engine="lazy").run()`.

What TaskFlow has around its decisions is used as it is: storage, actions, executors, notifiers, and the machine that
schedules and waits (`engines/action_engine/builder.py`).  What is next is decided by the core:

1. At the start of a run, the marks are rebuilt from the states and intentions in the storage.
2. The end of an atom is first saved by its action, then told to the core, whose host hands atoms out to the machine.
3. What the core decides beside that is saved as TaskFlow's own tools expect it: atoms that are ignored, and the
   intentions of a region that is reverted.  An atom has the intention REVERT as soon as its region is opened, so that
   another process can go on with that.
4. An atom that was handed out and not begun when something fails is taken back, if the region that this opens has it.
"""

import weakref
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from oslo_utils.strutils import bool_from_string
from taskflow import states
from taskflow.atom import Atom
from taskflow.engines.action_engine import completer, executor, runtime, scheduler
from taskflow.engines.action_engine.deciders import NoOpDecider
from taskflow.engines.action_engine.engine import ParallelActionEngine
from taskflow.types.failure import Failure

from lazyengine.compilers.flow import CompiledFlow, lay_out
from lazyengine.compilers.patterns import Compiler
from lazyengine.core import resolve
from lazyengine.core.decision import Decision, Errand, Slice, Token
from lazyengine.core.graph import Decider, Key, Kind, Node
from lazyengine.core.host import Host
from lazyengine.core.state import ALL, ATTEMPTED_TASK_STATES, Header, Intent, Mark, Outcome, Strategy, TaskState

SUCCESS = Outcome(TaskState.SUCCESS)
WAYS_BACK = frozenset({states.REVERT, states.RETRY})
"""Intentions of an atom that is to be undone."""


def now() -> datetime:
    return datetime.now(UTC)


class LazyEngine(ParallelActionEngine):  # type: ignore[misc]
    """Runs a flow as the core decides.

    Its options are those of TaskFlow's parallel engine.  Without `executor` and `max_workers`, or with the executor
    "serial", it runs one atom after the other in the thread that calls `run`.
    """

    _compiled: bool
    _storage_ensured: bool
    _runtime: "LazyRuntime"

    @classmethod
    def _fetch_task_executor(cls, options: Mapping[str, Any]) -> Any:
        chosen = options.get("executor")
        if isinstance(chosen, executor.TaskExecutor):
            return chosen
        is_serial = isinstance(chosen, str) and chosen.lower() == "serial"
        if is_serial or (chosen is None and options.get("max_workers") is None):
            return executor.SerialTaskExecutor()
        return super()._fetch_task_executor(options)

    def compile(self) -> None:
        """Compile the flow, once."""
        with self._lock:
            if not self._compiled:
                self._compilation = self._check_compilation(Compiler(self._flow).compile())
                around = (self.storage, self.atom_notifier, self._task_executor, self._retry_executor)
                self._runtime = LazyRuntime(self._compilation, *around, options=self._options)
                self._runtime.compile()
                self._compiled = True

    def open(self) -> "LazyRuntime":
        """Compile the flow and see that each atom has its place in the storage; the state of the flow stays."""
        self.compile()
        if not self._storage_ensured:
            self._ensure_storage()
            self._storage_ensured = True
        return self._runtime


class LazyRuntime(runtime.Runtime):  # type: ignore[misc]
    """TaskFlow's parts, with those replaced that decide."""

    @cached_property
    def selector(self) -> "Decisions":
        return Decisions(self)

    @cached_property
    def completer(self) -> "Completer":
        return Completer(self)

    @cached_property
    def scheduler(self) -> "Scheduler":
        return Scheduler(self)


class Completer(completer.Completer):  # type: ignore[misc]
    """Saves how an atom has ended, and tells the core."""

    def __init__(self, runtime: LazyRuntime) -> None:
        super().__init__(runtime)
        self.decisions = runtime.selector

    def resume(self) -> tuple[Atom, ...]:
        self.decisions.resume(resolves=self._resolve)
        return ()

    def complete(self, node: Atom, outcome: str, result: Any) -> None:
        super().complete(node, outcome, result)
        if not isinstance(result, Failure):
            self.decisions.ended.add(node)

    def _process_atom_failure(self, atom: Atom, failure: Failure) -> None:
        self.decisions.fail(atom, failure)


class Scheduler(scheduler.Scheduler):  # type: ignore[misc]
    """Begins what is still to be begun."""

    def __init__(self, runtime: LazyRuntime) -> None:
        super().__init__(runtime)
        self.decisions = runtime.selector

    def schedule(self, atoms: Iterable[Atom]) -> Any:
        chosen = [atom for atom in atoms if atom in self.decisions.waiting]
        self.decisions.waiting -= set(chosen)
        return super().schedule(chosen)


class Decisions(Host):
    """One run of a flow in the core.

    :ivar waiting: atoms that the core has handed out and nobody has begun
    :ivar ended: atoms whose success, at their revert too, was saved and not told to the core
    """

    def __init__(self, runtime: LazyRuntime) -> None:
        self.runtime = weakref.proxy(runtime)
        self.flow = lay_out(runtime.compilation)
        self.nodes = dict(enumerate(self.flow.nodes))
        self.ids = {atom: id for id, atom in self.flow.atoms.items()}
        self.defers_reverts = bool_from_string(runtime.options.get("defer_reverts", False))
        self.header, self.marks = Header(), dict[Key, Mark]()
        self.waiting: set[Atom] = set()
        self.ended: set[Atom] = set()

    # -- what TaskFlow's machine asks for -----------------------------------------------------------------------------

    def resume(self, resolves: bool, in_flight: Collection[str] = ()) -> None:
        """Rebuild the marks from the storage, and decide what follows from failures that were saved there.

        :param resolves: a failure leads to something
        :param in_flight: names of tasks that somebody works on, so that they are not begun anew
        """
        self.waiting, self.ended = set(), set()
        if resolves:
            for retry in self.runtime.iterate_retries(states.RETRYING):
                self.runtime.retry_subflow(retry)
        worked_on = {id for id, atom in self.flow.atoms.items() if atom.name in in_flight}
        rebuilt = _Rebuilding(self.flow, self.stored_states(), resolves, worked_on)
        self.header, self.marks = rebuilt.header, rebuilt.marks
        self.waiting.update(self.flow.atoms[id] for id in rebuilt.begun)
        self.transact(resolve.unfold(self.slice, rebuilt.backlog, now(), self))
        for id in rebuilt.failed:
            self.fail(self.flow.atoms[id], self.runtime.storage.get(self.nodes[id].name))
        stored = self.stored_states()
        wave = [Token(id, 1) for id in rebuilt.ready if stored[id][1] not in WAYS_BACK]
        if wave:
            self.follow(tuple(wave))

    def iter_next_atoms(self, atom: Atom | None = None) -> Iterator[tuple[Atom, NoOpDecider]]:
        """Yield what may begin; without `atom`, all that has been handed out and has not ended."""
        if atom in self.ended:
            self.ended.discard(atom)
            self.transact(resolve.complete(self.slice, (self.ids[atom], 1), SUCCESS, now(), self))
        atoms = list(self.waiting)
        if atom is None:
            atoms = [self.flow.atoms[mark.node] for mark in self.marks.values() if mark.state in ATTEMPTED_TASK_STATES]
        return iter([(atom, NoOpDecider()) for atom in atoms])

    def fail(self, atom: Atom, failure: Failure) -> None:
        """Decide what follows from a failure.

        What was handed out and not begun cannot run in a region that is opened; where none has it, it is left as it is.
        """
        handed_out = [self.marks[self.ids[other], 1] for other in self.waiting]
        unbegun = [mark for mark in handed_out if mark.state is TaskState.RUNNING]
        for mark in unbegun:
            self.withdraw(mark)
        key = (self.ids[atom], 1)
        self.transact(resolve.complete(self.slice, key, Outcome(TaskState.FAILURE, failure), now(), self))
        stored = self.stored_states()
        for mark in unbegun:
            if stored[mark.node][1] == states.REVERT:
                if self.marks[mark.key].state not in ATTEMPTED_TASK_STATES:
                    self.waiting.discard(self.flow.atoms[mark.node])
            else:
                self.marks[mark.key] = mark
                self.header = self.header._replace(live=self.header.live + 1)

    def withdraw(self, mark: Mark) -> None:
        """Let a run that was handed out not have begun; it has run before where a process died, or it is retried."""
        has_run = self.stored_states()[mark.node][0] != states.PENDING
        state = TaskState.SUCCESS if has_run else TaskState.PENDING
        self.marks[mark.key] = replace(mark, state=state)
        self.header = self.header._replace(live=self.header.live - 1)

    # -- decisions are made and kept ----------------------------------------------------------------------------------

    @property
    def slice(self) -> Slice:
        return Slice(self.header, self.nodes, self.marks)

    def stored_states(self) -> dict[int, tuple[str, str]]:
        """Map nodes to the states and intentions of their atoms."""
        found = self.runtime.storage.get_atoms_states(atom.name for atom in self.ids)
        return {id: found[atom.name] for atom, id in self.ids.items()}

    def transact(self, decision: Decision) -> None:
        self.apply(decision)
        self.follow(decision.wave)

    def follow(self, wave: tuple[Token, ...]) -> None:
        while wave:
            decision = resolve.arrive(self.slice, wave, now(), self)
            self.apply(decision)
            for token in wave:
                if token.errand is Errand.OPEN and token not in decision.wave:
                    self.save_intentions(token)
            wave = decision.wave

    def apply(self, decision: Decision) -> None:
        ignored = [mark.node for mark in decision.marks.values() if self.is_ignored_by(mark)]
        self.header = decision.header
        self.marks.update(decision.marks)
        self.runtime.reset_atoms([self.flow.atoms[id] for id in ignored], states.IGNORE, states.IGNORE)

    def is_ignored_by(self, mark: Mark) -> bool:
        return mark.state is TaskState.IGNORE and not self.is_ignored(mark.node)

    def is_ignored(self, id: int) -> bool:
        mark = self.marks.get((id, 1))
        return mark is not None and mark.state is TaskState.IGNORE

    def save_intentions(self, opened: Token) -> None:
        """Save what a region that was opened has to come to."""
        controller = self.flow.atoms.get(opened.to)
        if controller is None or self.nodes[opened.to].kind is not Kind.RETRY:
            completer.RevertAll(self.runtime).apply()
        elif opened.strategy is Strategy.RETRY:
            completer.RevertAndRetry(self.runtime, controller).apply()
        else:
            completer.Revert(self.runtime, controller).apply()

    # -- what the core asks for ---------------------------------------------------------------------------------------

    def run(self, node: Node, key: Key, given: Mapping[str, Any] | None = None) -> Outcome | None:
        return self.hand_out(node)

    def revert(self, node: Node, key: Key) -> Outcome | None:
        if node.kind is not Kind.GATE and self.runtime.storage.get_atom_intention(node.name) != states.REVERT:
            self.runtime.storage.set_atom_intention(node.name, states.REVERT)
        return self.hand_out(node)

    def hand_out(self, node: Node) -> Outcome | None:
        if node.kind is Kind.GATE:
            return SUCCESS
        self.waiting.add(self.flow.atoms[node.id])
        return None

    def allows(self, node: Node, decider: Decider, answer: Outcome | None = None) -> bool:
        storage = self.runtime.storage
        if storage.get_atom_state(node.name) != states.PENDING:
            return True  # it was asked before the node ran for the first time
        sources = {one.link[0] for one in node.deciders if one.link[0] in self.flow.atoms}
        heard = {id for id in sources if not self.is_ignored(id)}
        if decider.link[0] in sources - heard:
            return True
        history = {self.nodes[id].name: storage.get(self.nodes[id].name) for id in heard}
        return bool(self.flow.questions[decider.link](history=history))

    def strategy(self, controller: int, source: int, mark: Mark, answer: Outcome | None = None) -> Strategy:
        assert mark.outcome is not None
        asked, atom = self.flow.atoms[controller], self.flow.atoms[source]
        strategy = Strategy(self.runtime.retry_action.on_failure(asked, atom, mark.outcome.result))
        is_outermost = len(self.nodes[controller].controllers) == 1
        if strategy is Strategy.REVERT and self.defers_reverts and is_outermost:
            return Strategy.REVERT_ALL
        return strategy


# -- the storage becomes marks ----------------------------------------------------------------------------------------


class _Rebuilding:
    """The marks of a flow that has been under way.

    An atom that was under way forward is begun anew, one that was to be reverted is so anew, but for those in flight.

    :param stored: states and intentions by node
    :param in_flight: what somebody works on
    :ivar backlog: what is to be undone next
    :ivar begun: what was under way forward
    :ivar failed: failures to be decided on
    :ivar ready: nodes that the last token is to be put on
    """

    def __init__(
        self, flow: CompiledFlow, stored: Mapping[int, tuple[str, str]], resolves: bool, in_flight: Collection[int] = ()
    ) -> None:
        self.nodes, self.stored, self.resolves, self.in_flight = flow.nodes, stored, resolves, in_flight
        self.sources = defaultdict[int, set[int]](set)
        self.targets = {node.id: [edge.to for edge in node.edges if isinstance(edge.to, int)] for node in self.nodes}
        for source, targets in self.targets.items():
            for target in targets:
                self.sources[target].add(source)
        self.marks: dict[Key, Mark] = {}
        self.begun: list[int] = []
        self.failed: list[int] = []
        self.ready: list[int] = []
        self.undoable: set[int] = set()
        order = list(TopologicalSorter({node.id: self.sources[node.id] for node in self.nodes}).static_order())
        for id in order:
            self.place(self.nodes[id])
        self.backlog: list[Key] = []
        for id in order:
            if id in self.undoable:
                self.hold(id)
        ignored = sum(mark.state is TaskState.IGNORE for mark in self.marks.values())
        live = sum(mark.state in ATTEMPTED_TASK_STATES for mark in self.marks.values())
        self.header = Header(live=live, backlog=len(self.backlog), held=len(self.backlog), ignored=ignored)

    def has_told(self, id: int) -> bool:
        mark = self.marks.get((id, 1))
        return mark is not None and mark.told != 0

    def place(self, node: Node) -> None:
        told = set(filter(self.has_told, self.sources[node.id]))
        live, is_behind = len(told), not told.isdisjoint(self.undoable)
        has_all = live == node.indegree
        if node.id not in self.stored:
            self.mark(node, TaskState.SUCCESS if has_all else TaskState.PENDING, live, has_all, has_all and is_behind)
            return
        state, intention = self.stored[node.id]
        undo = is_behind or intention in WAYS_BACK
        if state == states.IGNORE:
            self.mark(node, TaskState.IGNORE, live, has_all, undo and has_all)
        elif state == states.FAILURE and self.resolves:
            self.failed.append(node.id)
            self.mark(node, TaskState.RUNNING, node.indegree, False, undo)
        elif state in (states.FAILURE, states.REVERT_FAILURE, states.REVERTED):
            self.mark(node, TaskState(state), node.indegree, False, undo and state != states.REVERTED)
        elif state == states.SUCCESS:
            self.mark(node, TaskState.SUCCESS, node.indegree, True, undo)
        elif node.id in self.in_flight:
            self.mark(node, TaskState(state), node.indegree, False, undo)
        elif state != states.PENDING and undo:
            self.mark(node, TaskState.SUCCESS, node.indegree, False, True)
        elif state != states.PENDING:
            self.begun.append(node.id)
            self.mark(node, TaskState.RUNNING, node.indegree, False, False)
        elif has_all and not undo:
            self.ready.append(node.id)
            self.mark(node, TaskState.PENDING, max(0, live - 1), False, False)
        else:
            self.mark(node, TaskState.PENDING, live, False, False)

    def mark(self, node: Node, state: TaskState, live: int, told: bool, undo: bool) -> None:
        has_run = state not in (TaskState.PENDING, TaskState.IGNORE)
        mark = Mark(node.id, state=state, attempt=int(has_run), live=live, runs=int(has_run or told))
        self.marks[mark.key] = replace(mark, told=ALL, ended=1) if told else mark
        if undo:
            self.undoable.add(node.id)

    def hold(self, id: int) -> None:
        """Let a node that is to be undone wait for those behind it."""
        mark = self.marks[id, 1]
        ahead = [to for to in self.targets[id] if to in self.undoable] if mark.told else []
        before = tuple(sorted(source for source in self.sources[id] & self.undoable if self.has_told(source)))
        strategy = None
        if self.nodes[id].kind is Kind.RETRY:
            strategy = Strategy.RETRY if self.stored[id][1] == states.RETRY else None
        if not ahead and mark.state in (TaskState.SUCCESS, TaskState.IGNORE):
            self.backlog.append(mark.key)
            mark = replace(mark, intent=Intent.REVERT, place=len(self.backlog))
        self.marks[mark.key] = replace(mark, hold=len(ahead), holds=before, strategy=strategy)
