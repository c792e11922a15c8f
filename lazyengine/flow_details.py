"""The second store: executions as TaskFlow's flow details, in a persistence backend of TaskFlow.

An execution is the uuid of a flow detail, a task its name or the uuid of its atom detail.  States, intentions and
results are saved where TaskFlow saves them, so its tools read them, and its engines go on with what was left here and
the other way round; but an engine takes no lock, so not at the same time.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from taskflow import engines, states
from taskflow import exceptions as exc
from taskflow.flow import Flow
from taskflow.persistence.backends import fetch
from taskflow.persistence.base import Backend
from taskflow.persistence.models import AtomDetail, FlowDetail, LogBook
from taskflow.types.failure import Failure
from taskflow.utils.persistence_utils import create_flow_detail

from lazyengine import errors
from lazyengine.calls import Call
from lazyengine.core.attempt import Verdict, weigh
from lazyengine.core.graph import Node
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, Mark, TaskState
from lazyengine.db.types import to_json
from lazyengine.flows import Flows, usable
from lazyengine.locks import locks_of
from lazyengine.pictures import Picture, picture
from lazyengine.records import Assignment, RunSummary
from lazyengine.reports import refusal
from lazyengine.taskflow_visit import ENDED, Holding, Visit

UUID_OR_LIKE = re.compile(r"[!-.0-~]{1,64}")
"""What may name a flow detail; TaskFlow makes UUIDs, and takes what it is given."""


@dataclass(frozen=True, slots=True)
class Held(Assignment):
    """An assignment that this process holds, with its call at hand."""

    call: Call | None = None


class FlowDetails:
    """
    :param backend: of TaskFlow, or what it is made from by `taskflow.persistence.backends.fetch`
    :param holder: the process that runs tasks; None if none are run here
    """

    def __init__(self, backend: Backend | Mapping[str, Any], flows: Flows, holder: str | None) -> None:
        self.owns = not isinstance(backend, Backend)
        self.backend = fetch(dict(backend)) if isinstance(backend, Mapping) else backend
        self.flows, self.holder = flows, holder
        self.locked = locks_of(self.backend)
        self._factories: dict[str, Callable[[], Flow]] = {}
        with self.locked.schema(), self._connection() as connection:
            connection.upgrade()

    def close(self) -> None:
        if self.owns:
            self.backend.close()

    # -- the four verbs -----------------------------------------------------------------------------------------------

    def start(self, name: str, given: Mapping[str, Any]) -> tuple[str, tuple[Assignment, ...]]:
        """Start a flow.  Raises as `go_on` does."""
        required, factory = self.flows.known(name).graph.required, self.flows.factories[name]
        check_given(name, [one for one in required if one not in given])
        with usable(name):
            detail = create_flow_detail(factory())
        self._note_factory(detail, factory)
        book = LogBook(name)
        book.add(detail)
        with self._connection() as connection:
            connection.save_logbook(book)
        return detail.uuid, self.go_on(detail.uuid, name, given)

    def go_on(self, execution: str, name: str | None, given: Mapping[str, Any]) -> tuple[Assignment, ...]:
        """Start a flow detail that is new, or that was suspended or left.

        :raises InputInvalid: something is required and nobody provides it
        :raises FlowUnusable: the flow cannot be made
        """
        if name is not None:
            self.flows.known(name)
            self._factories[execution] = self.flows.factories[name]
        with self._visit(execution) as visit:
            if visit.state in FINAL_EXECUTION_STATES:
                raise errors.ExecutionFinished(execution_id=execution, state=visit.state)
            if name is not None and "factory" not in visit.detail.meta:
                self._note_factory(visit.detail, self._factories[execution])
                visit.storage.update_flow_metadata(visit.detail.meta)
            if given:
                visit.storage.inject(given)
            try:
                visit.engine.validate()
            except exc.MissingDependencies as error:
                check_given(visit.detail.name, error.missing_requirements)
            visit.change(states.RUNNING)
            visit.resume(takes_over=True)
            return self._assignments(visit)

    def stop(self, execution: str) -> None:
        with self._visit(execution) as visit:
            if visit.state in FINAL_EXECUTION_STATES:
                raise errors.ExecutionFinished(execution_id=execution, state=visit.state)
            if visit.state != states.SUSPENDED:
                visit.change(states.SUSPENDING if visit.in_flight() else states.SUSPENDED)

    def get_state(self, execution: str) -> str:
        with self._lock(execution):
            return str(self._load(execution, lazy=True).state or states.PENDING)

    def complete(self, execution: str, task: str, result: Any, attempt: int | None = None) -> tuple[Assignment, ...]:
        """Take in how a task ended, and go on with what follows, or with what who died before has left to do.

        :param attempt: which one this is the end of; None is the current one
        """
        ended = ended_with(result)
        with self._visit(execution) as visit:
            name = visit.name_of(task)
            if name is None:
                raise errors.TaskNotFound.of(execution, task)
            detail = visit.atom_detail(name)
            found = Mark(0, state=TaskState(detail.state), attempt=Holding.of(detail).attempt)
            state = ExecutionState(visit.state) if visit.state in FINAL_EXECUTION_STATES else ExecutionState.RUNNING
            verdict = weigh(state, found, attempt, detail.state in ENDED and _is_same(detail, ended))
            if verdict not in (Verdict.ACCEPTED, Verdict.REPEATED):
                raise refusal(verdict, execution, state, Node(0, name), found, attempt)
            if state in FINAL_EXECUTION_STATES:
                return ()
            visit.resume()
            if verdict is Verdict.ACCEPTED:
                visit.end(name, ended)
            return self._assignments(visit)

    # -- who runs tasks -----------------------------------------------------------------------------------------------

    def hold(self, assignment: Assignment) -> Call | None:
        """Return the call of an assignment that this process holds."""
        return assignment.call if isinstance(assignment, Held) else None

    def let_go(self, assignment: Assignment, offers: bool) -> None:
        """Put an attempt on offer again, or leave it to be completed by anybody, if it still is this process's."""
        with self._visit(assignment.execution_id) as visit:
            if self._holds(visit, assignment):
                visit.let_go(assignment.task, offers)

    def renew(self, assignment: Assignment, seconds: float) -> None:
        """Hold an assignment for as long as that from now, if it still is this process's."""
        with self._visit(assignment.execution_id) as visit:
            if self._holds(visit, assignment):
                visit.renew(assignment.task, seconds)

    def _holds(self, visit: Visit, assignment: Assignment) -> bool:
        holding = visit.in_flight().get(assignment.task)
        return holding is not None and (holding.attempt, holding.held_by) == (assignment.attempt, self.holder)

    def priority(self, assignment: Assignment) -> int:
        """TaskFlow: `atom.py`; what is scheduled together begins in the order of it, the highest first."""
        return int(assignment.call.atom.priority) if isinstance(assignment, Held) and assignment.call else 0

    def picture(self, execution: str) -> Picture:
        """Return the flow of an execution as it stands."""
        with self._visit(execution) as visit:
            states = visit.decisions.stored_states()
            return picture(visit.decisions.flow.nodes, {id: RunSummary(_state(of[0])) for id, of in states.items()})

    def _assignments(self, visit: Visit) -> tuple[Assignment, ...]:
        """Let a visit go on, and return what it has handed out."""
        return tuple(self._assignment(visit, call) for call in visit.go_on())

    def _assignment(self, visit: Visit, call: Call) -> Assignment:
        name, arguments = call.atom.name, dict(call.arguments)
        facts = (visit.detail.uuid, name, 1, visit.attempts[name], None, "default", arguments)
        if self.holder is None:
            return Assignment(*facts, reverts=call.reverts)
        return Held(*facts, reverts=call.reverts, call=call)

    # -- where flow details are ---------------------------------------------------------------------------------------

    @contextmanager
    def _visit(self, execution: str) -> Iterator[Visit]:
        """Hold the lock of a flow detail, load it and see what it stands for.

        :raises ExecutionNotFound: there is none of this uuid
        :raises WorkflowNotFound: its flow is not known here, and cannot be made from what it says itself
        :raises FlowUnusable: its flow cannot be made
        :raises DatabaseUnavailable: the backend did not answer or did not save
        """
        with reachable(), self._lock(execution):
            detail = self._load(execution)
            with usable(detail.name):
                visit = Visit(self._flow_of(detail), detail, self.backend, self.holder)
            yield visit

    def _lock(self, execution: str) -> AbstractContextManager[Any]:
        """
        :raises ExecutionNotFound: it cannot be one: some backends use it as the name of a directory
        """
        if not UUID_OR_LIKE.fullmatch(execution) or not execution.strip("."):
            raise errors.ExecutionNotFound(execution_id=execution)
        return self.locked(execution)

    def _load(self, execution: str, lazy: bool = False) -> FlowDetail:
        with self._connection() as connection:
            try:
                return connection.get_flow_details(execution, lazy=lazy)
            except exc.NotFound:
                raise errors.ExecutionNotFound(execution_id=execution) from None

    def _flow_of(self, detail: FlowDetail) -> Flow:
        if detail.uuid in self._factories:
            return self._factories[detail.uuid]()
        if detail.name in self.flows:
            return self.flows.factories[detail.name]()
        try:
            return engines.flow_from_detail(detail)
        except (ImportError, ValueError):
            raise errors.WorkflowNotFound.flow(detail.name) from None

    def _note_factory(self, detail: FlowDetail, factory: Callable[[], Flow]) -> None:
        """Let other processes make the flow anew, if the factory can be imported there."""
        try:
            engines.save_factory_details(detail, factory, None, None)
        except ValueError:
            return

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        with reachable(), closing(self.backend.get_connection()) as connection:
            yield connection


@contextmanager
def reachable() -> Iterator[None]:
    """
    :raises DatabaseUnavailable: the backend did not answer or did not save
    """
    try:
        yield
    except (exc.StorageFailure, OSError) as error:  # not every backend makes the one of the other
        raise errors.DatabaseUnavailable from error


def check_given(workflow: str, missing: Iterable[str]) -> None:
    """
    :raises InputInvalid: something is missing
    """
    reasons = [f"'{name}' is missing" for name in missing]
    if reasons:
        raise errors.InputInvalid(workflow=workflow, reason="; ".join(reasons))


def ended_with(result: Any) -> Any:
    """Return how a task ended that left this behind, as TaskFlow saves it: a failure, or any JSON."""
    if isinstance(result, BaseException):
        return Failure.from_exception(result)
    if not isinstance(result, Failure):
        try:
            to_json(result)
        except (TypeError, ValueError, RecursionError) as error:
            return Failure.from_exception(TypeError(f"the result of a task is JSON: {error}"))
    return result


def _is_same(detail: AtomDetail, ended: Any) -> bool:
    """Tell whether a task has ended in this way before, whatever was reverted since."""
    if isinstance(ended, Failure):
        known = detail.failure
        return known is not None and (known.exception_str, *known) == (ended.exception_str, *ended)
    return detail.failure is None and to_json(detail.results) == to_json(ended)


def _state(name: str) -> TaskState:
    """Return the state of an atom; one that is about to be run again is PENDING."""
    return TaskState(name) if name in set(TaskState) else TaskState.PENDING
