"""TaskFlow flows in the engine: what their tasks are given, and what only their own code can say.

Tasks, and their reverts, are done by whoever completes them; retry controllers and deciders are asked here, in the
transaction that needs to know.

Sources: TaskFlow's `storage.py` (fetch_mapped_args: an argument is what was injected into the atom, then what was given
to the flow, then what an atom that runs before provides, the nearest scope first), `engines/action_engine/scopes.py`,
`engines/action_engine/actions/`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from taskflow.flow import Flow
from taskflow.retry import History
from taskflow.types.failure import Failure as TaskFlowFailure

from lazyengine.compilers.expressions import Evaluator
from lazyengine.compilers.flow import CompiledFlow, compile_flow
from lazyengine.core.graph import Decider, Graph, Key, Kind, Node
from lazyengine.core.host import Host, Refused
from lazyengine.core.state import Failure, Mark, Outcome, Strategy, TaskState
from lazyengine.dataflow import DataFlow
from lazyengine.db import data
from lazyengine.db.store import Store
from lazyengine.db.types import to_json
from lazyengine.records import Identity

WITH_RESULTS = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVERTING})
"""In which states of an atom others can use what it provides (TaskFlow: `storage.py`)."""

FAILED = "failed"
"""The only variable of an execution of a flow."""

EXTRACTION_ERRORS = (IndexError, KeyError, ValueError, TypeError)


class Flows:
    """The flows that an engine can run, by name.

    :param factories: each makes the same flow whenever it is called, in whichever process
    """

    def __init__(self, factories: Mapping[str, Callable[[], Flow]]) -> None:
        self.factories = factories
        self._compiled: dict[str, CompiledFlow] = {}
        self._digests: dict[str, str] = {}

    def add(self, name: str, factory: Callable[[], Flow]) -> None:
        """Make another flow known."""
        self.factories = {**self.factories, name: factory}
        self._compiled.pop(name, None)
        self._digests.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self.factories

    def compiled(self, name: str) -> CompiledFlow:
        if name not in self._compiled:
            self._compiled[name] = compile_flow(self.factories[name]())
        return self._compiled[name]

    def graph(self, name: str) -> tuple[str, Graph, list[Node]]:
        """Return a flow as it is stored, and the digest that it is found again by."""
        compiled = self.compiled(name)
        if name not in self._digests:
            nodes = [asdict(node) | {"joins": [], "beyond": {}} for node in compiled.nodes]
            self._digests[name] = hashlib.sha256(to_json(["flow", nodes]).encode()).hexdigest()
        return self._digests[name], compiled.graph, list(compiled.nodes)

    def host(self, store: Store, identity: Identity, evaluator: Evaluator) -> DataFlow:
        """Return what answers the core about an execution of a flow."""
        assert identity.flow is not None
        return FlowData(store, identity.id, self.compiled(identity.flow), evaluator)


class FlowData(DataFlow):
    """The host of the core for one execution of a flow in one transaction."""

    def __init__(self, store: Store, execution_id: str, compiled: CompiledFlow, evaluator: Evaluator) -> None:
        super().__init__(store, execution_id, False, evaluator)
        self.compiled = compiled
        self._saved: dict[int, Any] = {}
        self._forgotten: set[int] = set()

    # -- the port of the core -----------------------------------------------------------------------------------------

    def run(self, node: Node, key: Key, given: Mapping[str, Any] | None = None) -> Outcome | None:
        if node.kind is Kind.GATE:
            return Host.run(self, node, key)
        atom = self.compiled.atoms[node.id]
        arguments = self.arguments(node.id, atom.rebind, atom.optional)
        if node.kind is Kind.TASK:
            self.inputs[key] = arguments
            return None
        return self._call(atom.execute, history=self.history(node.id), **arguments)

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
        arguments = self.arguments(node.id, atom.revert_rebind, atom.revert_optional)
        failures = self.failures()
        if node.kind is Kind.TASK:
            outcome = self.outcome_of(node.id) or Outcome(TaskState.SUCCESS)
            result = asdict(outcome.failure) if outcome.failure else outcome.result
            self.inputs[key] = {**arguments, "result": result, "flow_failures": failures}
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

    def allows(self, node: Node, decider: Decider) -> bool:
        """TaskFlow: `engines/action_engine/deciders.py`, IgnoreDecider.tally."""
        sources = {one.link[0] for one in node.deciders if one.link[0] in self.compiled.atoms}
        asked = [id for id in sources if self.state_of(id) is not TaskState.IGNORE]
        if decider.link[0] in sources and decider.link[0] not in asked:
            return True
        history = {self.compiled.nodes[id].name: self.provided(id) for id in asked}
        answer = self._call(self.compiled.questions[decider.link], history=history)
        return bool(_result(answer))

    def strategy(self, controller: int, source: int, mark: Mark) -> Strategy:
        """TaskFlow: `engines/action_engine/actions/retry.py`, RetryAction.on_failure."""
        attempts = [[result, dict(failures)] for result, failures in self.attempts_of(controller)]
        if not attempts:
            raise Refused(f"'{self.compiled.nodes[controller].name}' has not run, so it cannot say what to do")
        failure = mark.outcome.failure if mark.outcome else None
        attempts[-1][1].setdefault(self.compiled.nodes[source].name, asdict(failure or Failure("unknown", "")))
        self.attempts[controller, 1] = attempts
        atom = self.compiled.atoms[controller]
        arguments = self.arguments(controller, atom.rebind, atom.optional)
        return Strategy(_result(self._call(atom.on_failure, history=self.history(controller), **arguments)))

    # -- what atoms are given -----------------------------------------------------------------------------------------

    def arguments(self, id: int, names: Mapping[str, str], optional: Iterable[str]) -> dict[str, Any]:
        """Bind the arguments of an atom: {argument: the name that it is provided under}.

        :raises Refused: nobody provides one that it needs
        """
        atom, given = self.compiled.atoms[id], self._load_execution().input or {}
        found = {}
        for argument, name in names.items():
            if atom.inject and name in atom.inject:
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
        for scope, id in self.compiled.scopes.visible(consumer, self.compiled.providers[name]):
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

    def history(self, id: int) -> History:
        return History(
            [
                (result, {name: to_taskflow(failure) for name, failure in failures.items()})
                for result, failures in self.attempts_of(id)
            ]
        )

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
