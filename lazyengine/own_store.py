"""The first store: executions in a database of the engine's own.

A task has no uuid there; one is made of the id of its execution and its name (`atom_uuid`).
"""

import uuid
from collections.abc import Mapping
from typing import Any

from lazyengine.calls import Call
from lazyengine.core.state import ATTEMPTED_TASK_STATES, ExecutionState, TaskState
from lazyengine.engine import Engine
from lazyengine.flow_worker import call_of, outcome_of
from lazyengine.flows import Flows
from lazyengine.holders import LEASE_SECONDS, is_gone
from lazyengine.records import Assignment, Report, Task, TaskQuery

OWNER = ""


class OwnStore:
    """
    :param holder: the process that runs tasks; None if none are run here
    """

    def __init__(self, engine: Engine, flows: Flows, holder: str | None) -> None:
        self.engine, self.flows, self.holder = engine, flows, holder

    def close(self) -> None:
        self.engine.evaluator.close()
        self.engine.database.dispose()

    # -- the four verbs -----------------------------------------------------------------------------------------------

    def start(self, name: str, given: Mapping[str, Any]) -> tuple[str, tuple[Assignment, ...]]:
        started = self.engine.start_flow(OWNER, name, dict(given))
        return started.execution.id, started.scheduled

    def go_on(self, execution: str, name: str | None, given: Mapping[str, Any]) -> tuple[Assignment, ...]:
        """Resume an execution; return what is on offer, and what somebody held who has died."""
        self.flows.compiled(self.engine.get_execution(OWNER, execution).workflow)
        self.engine.update_execution(OWNER, execution, state=ExecutionState.RUNNING)
        return tuple(self._left(execution))

    def stop(self, execution: str) -> None:
        self.engine.update_execution(OWNER, execution, state=ExecutionState.SUSPENDED)

    def get_state(self, execution: str) -> str:
        return self.engine.get_execution(OWNER, execution).state.value

    def complete(self, execution: str, task: str, result: Any, attempt: int | None = None) -> tuple[Assignment, ...]:
        """Take in how a task ended; return what follows.

        :param attempt: which one this is the end of; None is the current one
        """
        report = Report(self._name_of(execution, task), outcome_of(result), attempt=attempt)
        answer = self.engine.complete_task(OWNER, execution, report)
        return () if answer.replayed else answer.scheduled

    # -- who runs tasks -----------------------------------------------------------------------------------------------

    def hold(self, assignment: Assignment) -> Call | None:
        """Return the call of an assignment, unless somebody else holds it."""
        assert self.holder is not None
        if not self.engine.hold_task(OWNER, assignment, self.holder, LEASE_SECONDS):
            return None
        flow = self.engine.get_execution(OWNER, assignment.execution_id).workflow
        compiled = self.flows.compiled(flow)
        return call_of(compiled.atoms[compiled.id_of(assignment.task)], assignment.reverts, assignment.input)

    def let_go(self, assignment: Assignment, offers: bool) -> None:
        """Take an attempt from whoever holds it, and put it on offer again, or leave it to be completed by anybody."""
        self.engine.let_go(OWNER, assignment, offers)

    def _left(self, execution: str) -> list[Assignment]:
        states, marker, found = tuple(ATTEMPTED_TASK_STATES), None, []
        while True:
            page = self.engine.list_tasks(OWNER, execution, TaskQuery(states, limit=1000, marker=marker))
            for listed in page.items:
                task = self.engine.get_task(OWNER, execution, listed.name, listed.iteration)
                assignment = _assignment_of(task)
                if task.claimed_by and is_gone(task.claimed_by, task.lease_expires_at):
                    self.engine.let_go(OWNER, assignment, offers=True)
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
        flow = self.engine.get_execution(OWNER, execution).workflow
        names = [atom.name for atom in self.flows.compiled(flow).atoms.values()] if flow in self.flows else []
        found = filter(lambda name: atom_uuid(execution, name) == wanted, () if task in names else names)
        return next(found, task)


def atom_uuid(execution: str, task: str) -> str:
    """Return the uuid of a task in the engine's own database (RFC 9562, version 5)."""
    return str(uuid.uuid5(uuid.UUID(execution), task))


def _assignment_of(task: Task) -> Assignment:
    return Assignment(
        task.execution_id, task.name, task.iteration, task.attempt, task.action, task.target, task.input or {},
        reverts=task.state is TaskState.REVERTING,
    )  # fmt: skip
