"""The clauses on-success, on-error, on-complete and on-skip: where they lead, under which guard, what they publish.

Source: Mistral's `lang/v2/on_clause.py` and `lang/v2/publish.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.expressions import compile_inside, compile_template, has_expression
from lazyengine.compilers.faults import Faults, Path, check_keys, kind, shown
from lazyengine.compilers.names import is_storable
from lazyengine.core.context import merged
from lazyengine.core.graph import Command, Edge, Guard, On
from lazyengine.core.state import INFO_LENGTH, TaskState

COMMANDS = {command.value: command for command in Command}
CLAUSES = {"on-success": On.SUCCESS, "on-error": On.ERROR, "on-complete": On.COMPLETE, "on-skip": On.SKIP}
SCOPES = ("branch", "global")
NO_EFFECT = "atomic"
"""A scope that is accepted and does nothing, as in Mistral (`workflow/data_flow.py`, publish_variables)."""

# what a task publishes, the clause that publishes too, and the final state of both
PUBLISHERS = (
    ("publish", "on-success", TaskState.SUCCESS),
    ("publish-on-error", "on-error", TaskState.FAILURE),
    ("publish-on-skip", "on-skip", TaskState.SKIPPED),
)

Scopes = dict[str, dict[str, Any]]
"""By scope: variables and what they become."""

Publish = dict[str, Scopes]
"""By final state."""


def _over(base: Scopes, scopes: Scopes) -> Scopes:
    if not base:
        return scopes
    return {scope: merged(variables, scopes.get(scope, {})) for scope, variables in base.items()}


class Clauses:
    """Reads clauses; what is wrong is added to `faults`.

    :param ids: tasks by name
    """

    def __init__(self, ids: Mapping[str, int], faults: Faults) -> None:
        self.ids, self.faults = ids, faults

    # -- what is published --------------------------------------------------------------------------------------------

    def published(self, path: Path, spec: Mapping[str, Any]) -> Publish:
        """Read what a task publishes.

        Its own `publish` goes over that of its clause, and that of on-complete over its own; of what goes over it, a
        clause takes only the scopes that it has itself (Mistral: `lang/v2/tasks.py`, get_publish, and
        `lang/v2/publish.py`, merge).
        """
        found: Publish = {}
        complete = self._of_clause(path, spec, "on-complete")
        for key, clause, state in PUBLISHERS:
            own = {"branch": self._variables((*path, key), spec[key])} if spec.get(key) is not None else {}
            scopes = _over(self._of_clause(path, spec, clause), _over(own, complete))
            if scopes:
                found[state.value] = scopes
        return found

    def _of_clause(self, path: Path, spec: Mapping[str, Any], key: str) -> Scopes:
        clause = spec.get(key)
        if not isinstance(clause, dict) or clause.get("publish") is None:
            return {}
        return self._scopes((*path, key, "publish"), clause["publish"])

    def _scopes(self, path: Path, spec: Any) -> Scopes:
        if not isinstance(spec, dict):
            self.faults.add(path, f"publish is an object, not {kind(spec)}")
            return {}
        for key in spec.keys() - {*SCOPES, NO_EFFECT}:
            self.faults.add((*path, str(key)), f"{shown(key)} is no scope; there are branch, global and atomic")
        if spec.get(NO_EFFECT) is not None:
            self._variables((*path, NO_EFFECT), spec[NO_EFFECT])
        return {scope: self._variables((*path, scope), spec[scope]) for scope in SCOPES if spec.get(scope) is not None}

    def _variables(self, path: Path, spec: Any) -> dict[str, Any]:
        if not isinstance(spec, dict):
            self.faults.add(path, f"variables are an object, not {kind(spec)}")
            return {}
        compile_template(self.faults, path, spec)
        return {name: value for name, value in spec.items() if isinstance(name, str)}

    # -- where it leads -----------------------------------------------------------------------------------------------

    def edges(self, path: Path, clause: Any, on: On) -> list[Edge]:
        """Read a clause: a name, a command, a list of these and of {name: guard}, or {next: ..., publish: ...}.

        A clause that is one {name: guard} leads nowhere, and a `next` that is one leads there under no condition
        (Mistral: `lang/v2/on_clause.py`, OnClauseSpec and prepare_next_clause).
        """
        is_next = isinstance(clause, dict) and bool(clause.keys() & {"next", "publish"})
        if is_next:
            check_keys(self.faults, path, clause, {"next", "publish"})
            clause, path = clause.get("next", []), (*path, "next")
        if isinstance(clause, str):
            return self.entry(path, clause, on)
        if isinstance(clause, dict) and len(clause) == 1:
            name, guard = next(iter(clause.items()))
            edges = self.guarded((*path, str(name)), name, guard, on)
            return [replace(edge, guard=None) for edge in edges] if is_next else []
        if isinstance(clause, list):
            return self.entries(path, clause, on)
        found = "an object of several" if isinstance(clause, dict) else kind(clause)
        self.faults.add(path, f"a transition is a name, {{name: guard}}, or a list of these, not {found}")
        return []

    def entries(self, path: Path, entries: list[Any], on: On) -> list[Edge]:
        edges: list[Edge] = []
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            here = (*path, index)
            if isinstance(entry, dict) and len(entry) == 1:
                name, guard = next(iter(entry.items()))
                edges += self.guarded((*here, str(name)), name, guard, on)
            elif isinstance(entry, str) and entry in seen:  # Mistral: `uniqueItems` in lang/v2/on_clause.py
                self.faults.add(here, f"{shown(entry)} stands in this list twice")
            elif isinstance(entry, str):
                seen.add(entry)
                edges += self.entry(here, entry, on)
            else:
                self.faults.add(here, f"a transition leads to a name or {{name: guard}}, not to {kind(entry)}")
        return edges

    def guarded(self, path: Path, name: Any, guard: Any, on: On) -> list[Edge]:
        if not isinstance(name, str):
            self.faults.add(path, f"a transition leads to a name, not to {shown(name)}")
            return []
        if isinstance(guard, str):
            if not has_expression(guard):
                self.faults.add(path, "a guard is an expression or a boolean")
            compile_template(self.faults, path, guard)
        elif not isinstance(guard, bool):
            self.faults.add(path, f"a guard is an expression or a boolean, not {kind(guard)}")
        return self.entry(path, name, on, guard)

    def entry(self, path: Path, entry: str, on: On, guard: Guard | None = None) -> list[Edge]:
        if entry in self.ids:
            return [Edge(on, self.ids[entry], guard)]
        return self.command(path, entry, on, guard)

    def command(self, path: Path, entry: str, on: On, guard: Guard | None) -> list[Edge]:
        try:
            name, parameters = parse_call(entry)
        except CallError:
            name, parameters = entry, {}
        message = parameters.get("msg")
        if not isinstance(message, str | None):
            message = json.dumps(message)
        if name not in COMMANDS:
            self.faults.add(path, f"there is no task {shown(entry)}")
        elif parameters.keys() - {"msg"}:
            self.faults.add(path, f'{name} takes msg="..." and nothing else')
        elif message is not None and not (len(message) <= INFO_LENGTH and is_storable(message)):
            self.faults.add(path, f"a message has at most {INFO_LENGTH} characters, no NUL and no lone surrogates")
        else:
            compile_inside(self.faults, path, message)
            return [Edge(on, COMMANDS[name], guard, message)]
        return []
