"""The first store: executions in a database of the engine's own.

A task has no uuid there; one is made of the id of its execution and its name (`atom_uuid`).
"""

import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from taskflow.atom import Atom

from lazyengine.calls import Call
from lazyengine.core.state import ATTEMPTED_TASK_STATES, ExecutionState, TaskState
from lazyengine.engine import Engine
from lazyengine.flow_worker import call_of, outcome_of
from lazyengine.flows import Flows
from lazyengine.holders import LEASE_SECONDS, is_gone
from lazyengine.pictures import Picture
from lazyengine.records import Assignment, Report, Task, TaskQuery

OWNER = ""

MOST_NAMED = 16
"""Executions whose tasks a process knows by their uuids, so that it does not look through them for each."""


class OwnStore:
    """
    :param holder: the process that runs tasks; None if none are run here
    """

    def __init__(self, engine: Engine, flows: Flows, holder: str | None) -> None:
        self.engine, self.flows, self.holder = engine, flows, holder
        self._names = lru_cache(MOST_NAMED)(self._names_by_uuid)

    def close(self) -> None:
        self.engine.evaluator.close()
        self.engine.database.dispose()

    # -- the four verbs -----------------------------------------------------------------------------------------------

    def start(self, name: str, given: Mapping[str, Any]) -> tuple[str, tuple[Assignment, ...]]:
        id = str(uuid.uuid4())
        self.flows.pin(id, name)
        started = self.engine.start_flow(OWNER, name, dict(given), id)
        return started.execution.id, started.scheduled

    def go_on(self, execution: str, name: str | None, given: Mapping[str, Any]) -> tuple[Assignment, ...]:
        """Resume an execution; return what is on offer, and what somebody held who has died."""
        flow = self.engine.get_execution(OWNER, execution).workflow
        if name is not None:
            self.flows.pin(execution, name)
        self.flows.of(execution, flow)
        self.engine.update_execution(OWNER, execution, state=ExecutionState.RUNNING)
        return tuple(self._left(execution, flow))

    def stop(self, execution: str) -> None:
        self.engine.update_execution(OWNER, execution, state=ExecutionState.SUSPENDED)

    def get_state(self, execution: str) -> str:
        return self.engine.get_execution(OWNER, execution).state.value

    def picture(self, execution: str) -> Picture:
        return self.engine.get_graph(OWNER, execution)

    def complete(self, execution: str, task: str, result: Any, attempt: int | None = None) -> tuple[Assignment, ...]:
        """Take in how a task ended; return what follows.

        :param attempt: which one this is the end of; None is the current one
        """
        report = Report(self._name_of(execution, task), outcome_of(result), attempt=attempt)
        answer = self.engine.complete_task(OWNER, execution, report)
        return () if answer.replayed and self.holder is None else answer.scheduled  # `hold` tells them apart

    # -- who runs tasks -----------------------------------------------------------------------------------------------

    def hold(self, assignment: Assignment) -> Call | None:
        """Return the call of an assignment, unless somebody else holds it."""
        assert self.holder is not None
        if not self.engine.hold_task(OWNER, assignment, self.holder, LEASE_SECONDS):
            return None
        return call_of(self._atom(assignment), assignment.reverts, assignment.input)

    def renew(self, assignment: Assignment, seconds: float) -> None:
        """Hold an assignment for as long as that from now, if it still is this process's."""
        assert self.holder is not None
        self.engine.renew_lease(OWNER, assignment, self.holder, seconds)

    def priority(self, assignment: Assignment) -> int:
        """TaskFlow: `atom.py`; what is scheduled together begins in the order of it, the highest first."""
        return int(self._atom(assignment).priority)

    def _atom(self, assignment: Assignment) -> Atom:
        assert assignment.flow is not None
        return self.flows.of(assignment.execution_id, assignment.flow).compiled.atom(assignment.task)

    def let_go(self, assignment: Assignment, offers: bool) -> None:
        """Put an attempt on offer again, or leave it to be completed by anybody, if it still is this process's."""
        assert self.holder is not None
        self.engine.let_go(OWNER, assignment, self.holder, offers)

    def _left(self, execution: str, flow: str) -> list[Assignment]:
        states, marker, found = tuple(ATTEMPTED_TASK_STATES), None, []
        while True:
            page = self.engine.list_tasks(OWNER, execution, TaskQuery(states, limit=1000, marker=marker))
            for listed in page.items:
                task = self.engine.get_task(OWNER, execution, listed.name, listed.iteration)
                assignment = _assignment_of(task, flow)
                if task.claimed_by and is_gone(task.claimed_by, task.lease_expires_at):
                    self.engine.let_go(OWNER, assignment, task.claimed_by, offers=True)
                found.append(assignment)
            if not page.more:
                return found
            marker = (page.items[-1].node, page.items[-1].iteration)

    def _name_of(self, execution: str, task: str) -> str:
        """Return the name of a task that is named by that, or by its uuid."""
        try:
            wanted = str(uuid.UUID(task))
        except ValueError:
            return task
        return self._names(execution).get(wanted, task)

    def _names_by_uuid(self, execution: str) -> dict[str, str]:
        flow = self.engine.get_execution(OWNER, execution).workflow
        names = self.flows.of(execution, flow).compiled.ids
        return {atom_uuid(execution, name): name for name in names} | {name: name for name in names}


def atom_uuid(execution: str, task: str) -> str:
    """Return the uuid of a task in the engine's own database (RFC 9562, version 5)."""
    return str(uuid.uuid5(uuid.UUID(execution), task))


def _assignment_of(task: Task, flow: str) -> Assignment:
    return Assignment(
        task.execution_id, task.name, task.iteration, task.attempt, task.action, task.target, task.input or {},
        reverts=task.state is TaskState.REVERTING, flow=flow,
    )  # fmt: skip
