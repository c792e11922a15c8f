"""TaskFlow flows in the engine: what their tasks are given, and what only their own code can say.

Tasks, and their reverts, are done by whoever completes them.  Retry controllers of TaskFlow's own library are asked
here, in the transaction that needs to know; other controllers, and deciders, are the code of the flow's authors: they
are asked here too in the library door, and handed out like tasks where flows are run for callers of a service.

Sources: TaskFlow's `storage.py` (fetch_mapped_args: an argument is what was injected into the atom, then what was given
to the flow, then what an atom that runs before provides, the nearest scope first), `engines/action_engine/scopes.py`,
`engines/action_engine/actions/`.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

from taskflow import exceptions as exc
from taskflow import retry
from taskflow.flow import Flow
from taskflow.types.failure import Failure as TaskFlowFailure

from lazyengine import errors
from lazyengine.calls import CONTROLLER_NOT_JSON
from lazyengine.compilers.expressions import Evaluator
from lazyengine.compilers.flow import CompiledFlow, compile_flow
from lazyengine.core.graph import Decider, Graph, Key, Kind, Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import Failure, Mark, Outcome, Question, Strategy, TaskState
from lazyengine.dataflow import DataFlow
from lazyengine.db import data
from lazyengine.db.store import Store
from lazyengine.db.types import is_json, to_json
from lazyengine.records import Declaration, DeclaredInput, Identity

WITH_RESULTS = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVERTING})
"""In which states of an atom others can use what it provides (TaskFlow: `storage.py`)."""

LOG = logging.getLogger(__name__)

FAILED = "failed"
"""The only variable of an execution of a flow."""

MOST_PINNED = 10_000
"""Executions whose flows a process keeps apart from others of the same name."""

EXTRACTION_ERRORS = (IndexError, KeyError, ValueError, TypeError)

LIBRARY = frozenset({retry.AlwaysRevert, retry.AlwaysRevertAll, retry.ForEach, retry.ParameterizedForEach, retry.Times})
"""Controllers that may be asked anywhere; what is derived from them may do whatever its author likes."""


class Known(NamedTuple):
    """A flow that was compiled: as it is stored, and the digest that it is found again by."""

    compiled: CompiledFlow
    digest: str
    graph: Graph
    nodes: list[Node]


class Flows:
    """The flows that an engine can run, by name.  A factory is called once, when its flow is first needed.

    :param factories: each makes the same flow whenever it is called, in whichever process
    :param hands_out: nothing of what the flow's authors wrote is called here; whoever works on its tasks knows it by
        its name, which is their action
    """

    def __init__(self, factories: Mapping[str, Callable[[], Flow]], hands_out: bool = False) -> None:
        self.factories, self.hands_out = factories, hands_out
        self._known: dict[str, Known] = {}
        self._pinned: dict[str, Known] = {}
        self._lock = Lock()

    def __iter__(self) -> Iterator[str]:
        return iter(self.factories)

    def add(self, name: str, factory: Callable[[], Flow]) -> None:
        """Make another flow known."""
        self.factories = {**self.factories, name: factory}
        self._known.pop(name, None)

    def pin(self, execution_id: str, name: str) -> None:
        """Let an execution keep the flow that has a name now, whatever is made known by that name after it."""
        self._pinned[execution_id] = self.known(name)
        while len(self._pinned) > MOST_PINNED:
            self._pinned.pop(next(iter(self._pinned)))

    def of(self, execution_id: str, name: str) -> Known:
        """Return the flow of an execution.  Raises as `known` does."""
        return self._pinned.get(execution_id) or self.known(name)

    def __contains__(self, name: object) -> bool:
        return name in self.factories

    def known(self, name: str) -> Known:
        """
        :raises WorkflowNotFound: there is no such flow
        :raises FlowUnusable: its factory fails, or what it makes cannot be compiled
        """
        with self._lock:
            if name not in self.factories:
                raise errors.WorkflowNotFound.flow(name)
            if name not in self._known:
                with usable(name):
                    self._known[name] = self._compile(name)
            return self._known[name]

    def _compile(self, name: str) -> Known:
        compiled = compile_flow(self.factories[name]())
        nodes = list(compiled.nodes)
        if self.hands_out:
            nodes = [node if node.kind is Kind.GATE else replace(node, action=name) for node in nodes]
        required, optional = compiled.inputs()
        graph = replace(compiled.graph, workflow=name, required=required, optional=optional)
        plain = [asdict(node) | {"joins": [], "beyond": {}} for node in nodes]
        digest = hashlib.sha256(to_json(["flow", plain, name, required, optional]).encode()).hexdigest()
        return Known(compiled, digest, graph, nodes)

    def compiled(self, name: str) -> CompiledFlow:
        """Return a flow with what it was made from.  Raises as `known` does."""
        return self.known(name).compiled

    def graph(self, name: str) -> tuple[str, Graph, list[Node]]:
        """Return the digest of a flow, and what it compiles to.  Raises as `known` does."""
        known = self.known(name)
        return known.digest, known.graph, known.nodes

    def declaration(self, name: str) -> Declaration:
        """Return what callers may know of a flow.  Raises as `known` does."""
        graph = self.known(name).graph
        inputs = [DeclaredInput(one, True) for one in graph.required]
        return Declaration(name, (*inputs, *(DeclaredInput(one, False) for one in graph.optional)))

    def host(self, store: Store, identity: Identity, evaluator: Evaluator) -> DataFlow:
        """Return what answers the core about an execution of a flow."""
        return FlowData(store, identity, self, evaluator)


@contextmanager
def usable(name: str) -> Iterator[None]:
    """Make or compile a flow, which calls its author's code.

    :raises FlowUnusable: that fails, or makes what cannot be run
    """
    try:
        yield
    except (errors.WorkflowNotFound, exc.StorageFailure):
        raise
    except errors.DefinitionInvalid as error:
        raise errors.FlowUnusable(workflow=name, reason=str(error.facts["summary"])) from error
    except exc.Duplicate as error:
        raise errors.FlowUnusable(workflow=name, reason=str(error)) from error
    except Exception as error:
        LOG.exception("flow '%s' cannot be made", name)
        raise errors.FlowUnusable(workflow=name) from error


class FlowData(DataFlow):
    """The host of the core for one execution of a flow in one transaction."""

    def __init__(self, store: Store, identity: Identity, flows: Flows, evaluator: Evaluator) -> None:
        super().__init__(store, identity.id, False, evaluator)
        self.identity, self.flows, self.hands_out = identity, flows, flows.hands_out
        self._saved: dict[int, Any] = {}
        self._forgotten: set[int] = set()

    @cached_property
    def compiled(self) -> CompiledFlow:
        """The flow that the execution runs; what does not need it, such as cancelling, goes without.

        :raises WorkflowNotFound: this process does not know it
        :raises FlowChanged: it knows another one by its name
        """
        assert self.identity.flow is not None
        known = self.flows.of(self.execution_id, self.identity.flow)
        if known.digest != self.identity.definition_digest:
            raise errors.FlowChanged(execution_id=self.execution_id, workflow=self.identity.flow)
        return known.compiled

    def is_handed_out(self, node: Node) -> bool:
        """Tell whether whoever completes tasks has to answer for an atom."""
        atom = self.compiled.atoms[node.id]
        return node.kind is Kind.TASK or (self.hands_out and type(atom) not in LIBRARY)

    # -- the port of the core -----------------------------------------------------------------------------------------

    def run(self, node: Node, key: Key, given: Mapping[str, Any] | None = None) -> Outcome | None:
        if node.kind is Kind.GATE:
            return Host.run(self, node, key)
        atom = self.compiled.atoms[node.id]
        arguments = self.arguments(node.id, atom.rebind, atom.optional, asks=not self.is_handed_out(node))
        if self.is_handed_out(node):
            history = {"history": self.attempts_of(node.id)} if node.kind is Kind.RETRY else {}
            self.inputs[key] = arguments | history
            return None
        outcome = self._call(atom.execute, history=self.history(node.id), **arguments)
        if not is_json(outcome.result):
            return Outcome(TaskState.FAILURE, None, Failure("TypeError", CONTROLLER_NOT_JSON))
        return outcome

    def received(self, node: Node, key: Key, outcome: Outcome) -> Outcome:
        assert self.compiled  # who does not know the flow takes no reports
        return outcome

    def end(self, node: Node, mark: Mark) -> None:
        super().end(node, mark)
        self._forgotten.discard(node.id)
        if mark.state is TaskState.FAILURE:
            self._note_failed(node.id)
        if node.kind is Kind.RETRY and mark.state is TaskState.SUCCESS and mark.outcome:
            self.attempts[node.id, 1] = [*self.attempts_of(node.id), [mark.outcome.result, {}]]

    def revert(self, node: Node, key: Key) -> Outcome | None:
        if node.kind is Kind.GATE:
            return Host.revert(self, node, key)
        atom = self.compiled.atoms[node.id]
        arguments = self.arguments(node.id, atom.revert_rebind, atom.revert_optional, asks=not self.is_handed_out(node))
        failures = self.failures()
        if node.kind is Kind.TASK:
            outcome = self.outcome_of(node.id) or Outcome(TaskState.SUCCESS)
            result = asdict(outcome.failure) if outcome.failure else outcome.result
            self.inputs[key] = {**arguments, "result": result, "flow_failures": failures}
            return None
        if self.is_handed_out(node):
            self.inputs[key] = {**arguments, "history": self.attempts_of(node.id), "flow_failures": failures}
            return None
        given = {name: to_taskflow(failure) for name, failure in failures.items()}
        outcome = self._call(atom.revert, history=self.history(node.id), flow_failures=given, **arguments)
        if outcome.state is TaskState.SUCCESS:
            self.attempts[key] = []
        return outcome

    def reopen(self, node: Node, key: Key, last: bool) -> None:
        self.ended.pop(key, None)
        self._forgotten.add(node.id)
        if node.kind is Kind.RETRY:
            self.attempts[key] = []

    def allows(self, node: Node, decider: Decider, answer: Outcome | None = None) -> bool | None:
        """TaskFlow: `engines/action_engine/deciders.py`, IgnoreDecider.tally."""
        asked = self.with_a_say(node)
        if decider not in asked:
            return True
        if answer is None:
            if self.hands_out:
                return None
            question = self.compiled.questions[decider.link]
            return bool(_result(self._call(question, history=self.heard_by_deciders(node))))
        said = _result(answer)
        if not isinstance(said, list) or len(said) != len(asked):
            raise Refused(f"the answer is a list of {len(asked)}, true or false, not {to_json(said):.100}")
        return bool(said[asked.index(decider)])

    def with_a_say(self, node: Node) -> list[Decider]:
        """List the deciders of a node but for those at links from what is ignored."""
        return [one for one in node.deciders if self.state_of(one.link[0]) is not TaskState.IGNORE]

    def heard_by_deciders(self, node: Node) -> dict[str, Any]:
        """Return the results of the atoms that the deciders of a node stand behind, by name."""
        sources = {one.link[0] for one in self.with_a_say(node)} & self.compiled.atoms.keys()
        return {self.compiled.nodes[id].name: self.provided(id) for id in sorted(sources)}

    def strategy(self, controller: int, source: int, mark: Mark, answer: Outcome | None = None) -> Strategy | None:
        """TaskFlow: `engines/action_engine/actions/retry.py`, RetryAction.on_failure."""
        atom, node = self.compiled.atoms[controller], self.compiled.nodes[controller]
        if answer is None:
            attempts = [[result, dict(failures)] for result, failures in self.attempts_of(controller)]
            if not attempts:
                raise Refused(f"'{node.name}' has not run, so it cannot say what to do")
            outcome = mark.outcome or self.outcome_of(mark.node)
            failure = (outcome and outcome.failure) or Failure("unknown", "")
            attempts[-1][1].setdefault(self.compiled.nodes[source].name, asdict(failure))
            self.attempts[controller, 1] = attempts
            if self.is_handed_out(node):
                return None
            arguments = self.arguments(controller, atom.rebind, atom.optional, asks=True)
            answer = self._call(atom.on_failure, history=self.history(controller), **arguments)
        said = _result(answer)
        if said not in tuple(Strategy):
            raise Refused(f"'{node.name}' says {said!r:.100}, which is none of {', '.join(Strategy)}")
        return Strategy(said)

    def ask(self, node: Node, key: Key, question: Question) -> None:
        if question is Question.DECIDE:
            names = {node.id: node.name for node in self.compiled.nodes}
            links = [[names[id] for id in decider.link] for decider in self.with_a_say(node)]
            self.inputs[key] = {"history": self.heard_by_deciders(node), "links": links}
        else:
            atom = self.compiled.atoms[node.id]
            arguments = self.arguments(node.id, atom.rebind, atom.optional)
            self.inputs[key] = {**arguments, "history": self.attempts_of(node.id)}

    def recall(self, node: Node) -> Any:
        return self.provided(node.id)

    def input_of(self, node: Node, key: Key, given: bool = False) -> dict[str, Any]:
        return super().input_of(node, key, given=True)  # arguments are always found, never written in the node

    # -- what atoms are given -----------------------------------------------------------------------------------------

    def arguments(
        self, id: int, names: Mapping[str, str], optional: Iterable[str], asks: bool = False
    ) -> dict[str, Any]:
        """Bind the arguments of an atom: {argument: the name that it is provided under}.

        :param asks: it is called here, so that they need not be JSON
        :raises Refused: nobody provides one that it needs
        """
        atom, given = self.compiled.atoms[id], self._load_execution().input or {}
        found = {}
        for argument, name in names.items():
            if atom.inject and name in atom.inject:
                if asks or is_json(atom.inject[name]):  # whoever calls a task has the atom, too
                    found[argument] = atom.inject[name]
            elif name in given:
                found[argument] = given[name]
            elif name in self.compiled.providers:
                found[argument] = self._provided_to(id, name)
            elif argument not in optional:
                raise Refused(f"nobody provides '{name}'")
        return found

    def _provided_to(self, consumer: int, name: str) -> Any:
        """Look a name up in the scopes of an atom, the nearest first."""
        nearest = None
        for scope, id in self.compiled.visible(consumer, name):
            if nearest not in (None, scope):
                break
            if self.state_of(id) is TaskState.IGNORE:
                continue
            if self.state_of(id) not in WITH_RESULTS:
                raise Refused(f"what provides '{name}' has no result")
            nearest, index = scope, self.compiled.atoms[id].save_as[name]
            try:
                return self.provided(id) if index is None else self.provided(id)[index]
            except EXTRACTION_ERRORS:
                continue
        raise Refused(f"nobody that runs before provides '{name}'")

    # -- what atoms have left -----------------------------------------------------------------------------------------

    def state_of(self, id: int) -> TaskState:
        mark = self.known().get((id, 1))
        if mark is None:
            row = self._row(id)
            return TaskState(row.state) if row else TaskState.PENDING
        return mark.state

    def outcome_of(self, id: int) -> Outcome | None:
        """Return how an atom last ended, but for its revert."""
        if (id, 1) in self.ended:
            return self.ended[id, 1][1].outcome
        row = None if id in self._forgotten else self._row(id)
        if row is None:
            return None
        return Outcome(TaskState(row.state), row.result, Failure(**row.failure) if row.failure else None)

    def provided(self, id: int) -> Any:
        """Return the result of an atom as others see it; of a controller the last one."""
        if self.compiled.nodes[id].kind is Kind.RETRY:
            attempts = self.attempts_of(id)
            return attempts[-1][0] if attempts else None
        outcome = self.outcome_of(id)
        return outcome.result if outcome else None

    def attempts_of(self, id: int) -> list[Any]:
        """Return what the attempts of a retry controller came to: [[result, {atom: failure}], ...]."""
        if (id, 1) not in self.attempts:
            row = self._row(id)
            return list(row.attempts or ()) if row else []
        return self.attempts[id, 1]

    def history(self, id: int) -> retry.History:
        return history_of(self.attempts_of(id))

    def failures(self) -> dict[str, dict[str, Any]]:
        """Return why atoms have failed, by name."""
        rows = data.read_atoms(self.store.connection, self.execution_id, self._failed())
        found = {id: row.failure for id, row in rows.items() if row.failure}
        for (id, *_), (_, mark) in self.ended.items():
            found.pop(id, None)
            if mark.outcome and mark.outcome.failure:
                found[id] = asdict(mark.outcome.failure)
        return {self.compiled.nodes[id].name: failure for id, failure in found.items() if id not in self._forgotten}

    def _failed(self) -> list[int]:
        """Return which atoms have ever failed: a variable of the execution, so that nobody searches for them."""
        self._load_execution()
        return list(self._variables.get(FAILED, ()))

    def _note_failed(self, id: int) -> None:
        failed = self._failed()
        if id not in failed:
            self._variables[FAILED] = [*failed, id]
            self._variables_changed = True

    def _row(self, id: int) -> Any:
        if id not in self._saved:
            self._saved[id] = data.read_atoms(self.store.connection, self.execution_id, [id]).get(id)
        return self._saved[id]

    def _call(self, function: Callable[..., Any], **arguments: Any) -> Outcome:
        """Call what the flow brings with it; whatever it raises is a failure."""
        try:
            return Outcome(TaskState.SUCCESS, function(**arguments))
        except Exception as error:  # the flow's own code
            return Outcome(TaskState.FAILURE, None, Failure(type(error).__name__, str(error)))


def _result(answer: Outcome) -> Any:
    """
    :raises Refused: it raised something
    """
    if answer.failure:
        raise Refused(f"{answer.failure.type}: {answer.failure.message}")
    return answer.result


def to_taskflow(failure: Mapping[str, Any]) -> TaskFlowFailure:
    """Return a failure as TaskFlow's code knows it."""
    return TaskFlowFailure(exception_str=failure["message"], exc_type_names=[failure["type"]], traceback_str="")


def history_of(attempts: Iterable[Any]) -> retry.History:
    """Return what the attempts of a controller came to as TaskFlow's code knows it.

    :param attempts: [[result, {atom: failure}], ...]
    """
    return retry.History(
        [(result, {name: to_taskflow(failure) for name, failure in failures.items()}) for result, failures in attempts]
    )
