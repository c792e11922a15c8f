"""What a worker does for a flow: it is given an assignment, calls the code of the flow, and says how that ended.

An assignment of a flow has the name of the flow as its action, so a worker claims with `actions=[name]`; it is of a
task or a retry controller, forward or (`reverts`) back, or it `asks` something:

===============  ================================================  ===========================================
`asks`           `input`                                           result
===============  ================================================  ===========================================
`decide`         `history`: {atom: result}; `links`: [[from, to]]  for each link whether its decider lets it run
`on_failure`     `history`, and the arguments of the controller    RETRY, REVERT or REVERT_ALL
===============  ================================================  ===========================================

Where an input has a `history` of a controller, it is [[result, {atom: failure}], ...], the oldest attempt first; a
failure is {type, message, details}.
"""

import traceback
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from taskflow.atom import Atom
from taskflow.types.failure import Failure as TaskFlowFailure

from lazyengine.calls import Call
from lazyengine.compilers.flow import CompiledFlow
from lazyengine.core.state import Failure, Outcome, Question, TaskState
from lazyengine.db.types import to_json
from lazyengine.flows import Flows, history_of, to_taskflow


def work(flows: Flows, assignment: Mapping[str, Any]) -> dict[str, Any]:
    """Do what an assignment says, and return the report to be PUT for it.

    :param assignment: as `POST /tasks/claim` gives it, or any other answer that hands out tasks
    :raises WorkflowNotFound: its action is none of the flows
    :raises LookupError: the flow has no such task
    """
    compiled = flows.compiled(assignment["action"])
    outcome = outcome_of(_called(compiled, assignment))
    report: dict[str, Any] = {"state": outcome.state.value, "attempt": assignment["attempt"]}
    if outcome.failure:
        return report | {"failure": asdict(outcome.failure)}
    return report | {"result": outcome.result}


def _called(compiled: CompiledFlow, assignment: Mapping[str, Any]) -> Any:
    """Return what the code of the flow returns or raises."""
    given, question = dict(assignment["input"]), assignment.get("asks")
    id = compiled.id_of(assignment["task"])
    try:
        if question == Question.DECIDE:
            return _decide(compiled, given["links"], given["history"])
        if question == Question.ON_FAILURE:
            controller: Any = compiled.atoms[id]
            return controller.on_failure(**given | {"history": history_of(given["history"])})
        return call_of(compiled.atoms[id], bool(assignment.get("reverts")), given)()
    except Exception as error:  # the flow's own code
        return error


def _decide(compiled: CompiledFlow, links: list[list[str]], history: dict[str, Any]) -> list[bool]:
    ids = {node.name: node.id for node in compiled.nodes}
    return [bool(compiled.questions[ids[source], ids[target]](history=history)) for source, target in links]


def call_of(atom: Atom, reverts: bool, arguments: Mapping[str, Any]) -> Call:
    """Return the call of a task or a retry controller with arguments that are JSON."""
    bound = atom.revert_rebind if reverts else atom.rebind
    injected = {argument: atom.inject[name] for argument, name in bound.items() if name in (atom.inject or {})}
    given = injected | dict(arguments)
    if hasattr(atom, "on_failure"):
        given["history"] = history_of(given["history"])
    if reverts:
        failures = given.get("flow_failures") or {}
        given["flow_failures"] = {name: to_taskflow(failure) for name, failure in failures.items()}
    return Call(atom, reverts, given)


def outcome_of(result: Any) -> Outcome:
    """Return how a task ended that left this behind: an exception or a failure, or any JSON."""
    if isinstance(result, TaskFlowFailure):
        return Outcome(TaskState.FAILURE, None, Failure(result.exc_type_names[0], result.exception_str))
    if isinstance(result, BaseException):
        details = "".join(traceback.format_exception(result))
        return Outcome(TaskState.FAILURE, None, Failure(type(result).__name__, _message(result), details))
    try:
        to_json(result)
    except (TypeError, ValueError, RecursionError) as error:
        return Outcome(TaskState.FAILURE, None, Failure("result", f"the result of a task is JSON: {error}"))
    return Outcome(TaskState.SUCCESS, result)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "its message cannot be read"
