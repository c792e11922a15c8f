"""One verb at a flow detail: rebuild the marks, decide, save, and leave.

Theory of operation:

1. A visit is made by whoever holds the lock of the flow detail, which was loaded under it.  It begins where a run of
   the engine begins (`taskflow_engine.Decisions.resume`), except that tasks in flight are left to those who work on
   them.  So it goes on from wherever the one before it has died.
2. It does what TaskFlow's machine does between two waits (`engines/action_engine/builder.py`): it saves ends, tells
   them to the core, and begins what the core hands out, through TaskFlow's own actions.  Retry controllers run within
   the visit; a task gets RUNNING or REVERTING in the storage, and its call is given to the caller, who makes it after
   the visit.
3. Who works on a task is written in the `meta` of its atom detail before its state is: its number of attempts, and who
   holds it until when; nobody, if it is on offer to the next `start`, or waits to be completed.
4. What goes wrong in the flow's own code around tasks (deciders, retry controllers, arguments that nobody provides),
   and reverts that fail, break the flow, as in TaskFlow: nothing more begins, and it fails once nothing is in flight.
   What is wrong with the storage is raised, and changes nothing.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from taskflow import exceptions as exc
from taskflow import states
from taskflow.atom import Atom
from taskflow.engines.action_engine.executor import EXECUTED, REVERTED, TaskExecutor
from taskflow.flow import Flow
from taskflow.persistence.base import Backend
from taskflow.persistence.models import AtomDetail, FlowDetail, RetryDetail
from taskflow.task import REVERT_FLOW_FAILURES, REVERT_RESULT, Task
from taskflow.types.failure import Failure

from lazyengine.calls import CONTROLLER_NOT_JSON, Call
from lazyengine.db.types import is_json
from lazyengine.holders import LEASE_SECONDS, is_gone
from lazyengine.taskflow_engine import LazyEngine

META = "lazyengine"
"""What our part of the `meta` of flow details and atom details is called."""

IN_FLIGHT = frozenset({states.RUNNING, states.REVERTING})
ENDED = frozenset({states.SUCCESS, states.FAILURE, states.REVERTED})


@dataclass(frozen=True, slots=True)
class Holding:
    """Who works on a task.

    :param held_by: a process; None if it waits to be completed, or is on offer
    :param offered: whoever starts the flow again may run it
    :param until: ISO 8601; when a process of another machine is believed to have died
    """

    attempt: int = 0
    held_by: str | None = None
    offered: bool = False
    until: str | None = None

    @classmethod
    def of(cls, detail: AtomDetail) -> "Holding":
        return cls(**(detail.meta or {}).get(META, {}))

    @property
    def is_to_be_taken_over(self) -> bool:
        """Whether whoever starts the flow again has to run it: an engine that left no word of it has died, too."""
        until = datetime.fromisoformat(self.until) if self.until else None
        return self.offered or not self.attempt or (self.held_by is not None and is_gone(self.held_by, until))


class _Calls(TaskExecutor):  # type: ignore[misc]
    """Takes note of what is to be called, in the place of calling it."""

    def __init__(self) -> None:
        self.noted: list[Call] = []

    def note(self, call: Call) -> "Future[Any]":
        self.noted.append(call)
        return Future()

    def execute_task(
        self, task: Task, task_uuid: str, arguments: Mapping[str, Any], progress_callback: Any = None
    ) -> "Future[Any]":
        return self.note(Call(task, False, dict(arguments)))

    def revert_task(
        self, task: Task, task_uuid: str, arguments: Mapping[str, Any], result: Any, failures: Any,
        progress_callback: Any = None,
    ) -> "Future[Any]":  # fmt: skip
        return self.note(Call(task, True, {**arguments, REVERT_RESULT: result, REVERT_FLOW_FAILURES: failures}))


class Visit:
    """
    :param detail: the flow detail as it is in the backend
    :param holder: the process that will make the calls; None if they are on offer
    """

    def __init__(self, flow: Flow, detail: FlowDetail, backend: Backend, holder: str | None) -> None:
        self.detail, self.holder, self.calls = detail, holder, _Calls()
        for one in detail:
            if isinstance(one, RetryDetail):
                restore_results(one)
        self.engine = LazyEngine(flow, detail, backend, {"executor": self.calls})
        self.storage = self.engine.storage
        self.runtime = self.engine.open()
        self.decisions, self.completer = self.runtime.selector, self.runtime.completer
        self.atoms: dict[str, Atom] = {atom.name: atom for atom in self.decisions.ids}
        self.attempts: dict[str, int] = {}
        for name in self.atoms:
            self.keep_results(name)

    # -- how things stand ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return str(self.storage.get_flow_state())

    @property
    def is_broken(self) -> bool:
        return META in self.detail.meta or any(one.state == states.REVERT_FAILURE for one in self.detail)

    def atom_detail(self, name: str) -> AtomDetail:
        return self.detail.find(self.storage.get_atom_uuid(name))

    def name_of(self, task: str) -> str | None:
        """Return the name of a task that is named by that, or by its uuid."""
        names = [name for name, atom in self.atoms.items() if isinstance(atom, Task)]
        uuids = {self.storage.get_atom_uuid(name): name for name in names}
        return task if task in names else uuids.get(task)

    def in_flight(self) -> dict[str, Holding]:
        """Find the tasks that were handed out and have not ended; retry controllers end within a visit."""
        found = (self.atom_detail(name) for name, atom in self.atoms.items() if isinstance(atom, Task))
        return {one.name: Holding.of(one) for one in found if one.state in IN_FLIGHT}

    # -- what is done -------------------------------------------------------------------------------------------------

    def resume(self, takes_over: bool = False) -> None:
        """Rebuild the marks.

        :param takes_over: begin anew what is on offer, and what was held by somebody who has died
        """
        if not self.is_broken:
            left = [name for name, one in self.in_flight().items() if not (takes_over and one.is_to_be_taken_over)]
            self.attempt(lambda: self.decisions.resume(True, left))

    def end(self, name: str, result: Any) -> None:
        """Save how a task that is in flight has ended, and decide what follows."""
        reverts = self.atom_detail(name).state == states.REVERTING
        self.end_atom(self.atoms[name], REVERTED if reverts else EXECUTED, result)

    def end_atom(self, atom: Atom, outcome: str, result: Any) -> None:
        was_broken = self.is_broken
        self.completer.complete(atom, outcome, result)
        self.keep_results(atom.name)
        if was_broken:
            return
        if not isinstance(result, Failure):
            self.attempt(lambda: self.decisions.iter_next_atoms(atom))
        elif outcome == EXECUTED:
            self.attempt(lambda: self.completer.complete_failure(atom, outcome, result))
        else:
            self.give_up(result)

    def go_on(self) -> list[Call]:
        """Begin what is to be begun, bring the state of the flow up to date, and return what is to be called."""
        while self.state == states.RUNNING and self.decisions.waiting and not self.is_broken:
            self.begin(sorted(self.decisions.waiting, key=self.decisions.ids.__getitem__))
        self.settle()
        return self.calls.noted

    def begin(self, atoms: list[Atom]) -> None:
        for atom in atoms:
            if isinstance(atom, Task):
                self.hold(atom.name)
        by_priority = sorted(atoms, key=lambda atom: atom.priority, reverse=True)
        futures, failures = self.runtime.scheduler.schedule(by_priority)
        for failure in failures:
            self.give_up(failure)
        done = [future for future in futures if future.done()]
        for future in sorted(done, key=lambda future: self.decisions.ids[future.atom]):
            outcome, result = future.result()
            if outcome == EXECUTED and not isinstance(result, Failure) and not is_json(result):
                result = Failure.from_exception(TypeError(CONTROLLER_NOT_JSON))
            self.end_atom(future.atom, outcome, result)

    def hold(self, name: str) -> None:
        """Write down who will work on a task."""
        attempt = self.attempts[name] = Holding.of(self.atom_detail(name)).attempt + 1
        self.write(name, Holding(attempt, self.holder, self.holder is None, after(LEASE_SECONDS)))

    def renew(self, name: str, seconds: float) -> None:
        """Hold a task for as long as that from now."""
        self.write(name, replace(Holding.of(self.atom_detail(name)), until=after(seconds)))

    def let_go(self, name: str, offers: bool) -> None:
        """Let nobody hold a task, which is on offer again or waits to be completed."""
        self.write(name, replace(Holding.of(self.atom_detail(name)), held_by=None, offered=offers))

    def write(self, name: str, holding: Holding) -> None:
        self.storage.update_atom_metadata(name, {META: asdict(holding)})

    def keep_results(self, name: str) -> None:
        """Keep what `restore_results` needs, before a failure is put beside it."""
        detail = self.atom_detail(name)
        if isinstance(detail, RetryDetail):
            results = [result for result, _ in detail.results]
            if results != kept_results(detail):
                self.storage.update_atom_metadata(name, {META: {"results": results}})

    def settle(self) -> None:
        """Let the flow have come to rest, or to its end, if it has."""
        if self.in_flight() or self.state not in (states.RUNNING, states.SUSPENDING):
            return
        if self.is_broken:
            self.change(states.FAILURE)
        elif self.state == states.SUSPENDING:
            self.change(states.SUSPENDED)
        else:
            self.change(states.SUCCESS if self.runtime.is_success() else states.REVERTED)

    def change(self, state: str) -> None:
        if state != self.state:
            self.storage.set_flow_state(state)

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    def attempt(self, decide: Any) -> None:
        """Decide something, for which code of the flow may be asked.

        :raises taskflow.exceptions.StorageFailure: the backend did not save or answer
        """
        try:
            decide()
        except Exception as error:
            if isinstance(error, exc.StorageFailure) and not isinstance(error.cause, exc.NotFound):
                raise
            self.give_up(Failure.from_exception(error))

    def give_up(self, failure: Failure) -> None:
        """Let nothing more begin."""
        self.storage.update_flow_metadata({META: failure.exception_str})


def kept_results(detail: RetryDetail) -> list[Any]:
    return list(detail.meta.get(META, {}).get("results", ()))


def restore_results(detail: RetryDetail) -> None:
    """Put the results of a retry controller in order, as it was read from a backend.

    An attempt that led to a failure comes back with the dictionary of that failure as its result, so a `ForEach` would
    not see what it has tried (TaskFlow: `persistence/models.py`, RetryDetail.from_dict).
    """
    kept = dict(enumerate(kept_results(detail)))
    detail.results = [
        (kept.get(attempt, result) if failures else result, failures)
        for attempt, (result, failures) in enumerate(detail.results)
    ]


def after(seconds: float) -> str:
    """Return the time that it will be then, in ISO 8601."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
