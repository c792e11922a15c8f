"""One task: what does its work, on which items, and when it runs.

Source: Mistral's `lang/v2/tasks.py`.
"""

import json
import re
from typing import Any

from lazyengine.compilers import topology
from lazyengine.compilers.adhoc import Actions, check_inline
from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.clauses import CLAUSES, PUBLISHERS, Clauses
from lazyengine.compilers.contents import check_about
from lazyengine.compilers.expressions import compile_inside, compile_template, has_expression
from lazyengine.compilers.faults import Faults, Path, check_keys, is_object, kind, shown
from lazyengine.compilers.literals import is_expression
from lazyengine.compilers.names import check_name
from lazyengine.compilers.policies import POLICY_KEYS, Policies
from lazyengine.core.actions import PURE_PARAMETERS
from lazyengine.core.graph import Edge, Node, On

TASK_KEYS = {
    *("action", "workflow", "input", "with-items", "target", "name", "description", "tags"),
    *(key for key, _, _ in PUBLISHERS),
    *POLICY_KEYS,
}
KEYS = {"direct": TASK_KEYS | {"join", *CLAUSES}, "reverse": TASK_KEYS | {"requires"}}
EXTERNAL_ACTION = "std.async_noop"

_ITEM = re.compile(r"\s*+([\w-]++)\s++in\b\s*+")


class Tasks:
    """Reads the tasks of one workflow; what is wrong is added to `faults`.

    :param kind: of the workflow, direct or reverse
    :param default_action: of tasks that name none; '' leaves them to be completed from outside
    :param weight: what the last one comes to beside its edges, one for each 64 characters that are not written at it
    """

    def __init__(
        self, faults: Faults, kind: str, clauses: Clauses, policies: Policies, actions: Actions, default_action: str
    ) -> None:
        self.faults, self.kind, self.clauses, self.policies = faults, kind, clauses, policies
        self.actions, self.default_action = actions, default_action
        self.defaults: dict[On, list[Edge]] = {}
        self.weight = 0

    def read(self, path: Path, id: int, name: str, spec: Any, max_tasks: int) -> Node:
        self.weight = 0
        spec = {} if spec is None else spec
        if not is_object(self.faults, path, spec, "a task"):
            return Node(id, name)
        check_keys(self.faults, path, spec, KEYS[self.kind])
        check_about(self.faults, path, spec)
        facts = self.read_work(path, spec)
        self.weight += self.policies.weight
        if self.kind == "direct":
            facts["edges"] = tuple(self.read_edges(path, id, spec))
            facts["join"] = self.read_join(path, spec, max_tasks)
        return Node(
            id,
            name,
            target=self.read_target((*path, "target"), spec),
            items=self.read_items((*path, "with-items"), spec.get("with-items")),
            policy=self.policies.read(path, spec),
            publish=self.clauses.published(path, spec),
            **facts,
        )

    def read_edges(self, path: Path, id: int, spec: dict[str, Any]) -> list[Edge]:
        """The edges of a task, and the default ones but to itself where it has none of their kind."""
        edges: list[Edge] = []
        for key, on in CLAUSES.items():
            given = spec.get(key)
            own = self.clauses.edges((*path, key), given, on) if given not in (None, []) else []
            edges += own or [edge for edge in self.defaults.get(on, ()) if edge.to != id]
        return edges

    # -- what does the work -------------------------------------------------------------------------------------------

    def read_work(self, path: Path, spec: dict[str, Any]) -> dict[str, Any]:
        """Return `action` or `workflow`, `input` and `adhoc` of a node."""
        given = self.read_input((*path, "input"), spec.get("input"))
        key = "workflow" if spec.get("workflow") is not None else "action"
        text, where = spec.get(key), (*path, key)
        if key == "workflow" and spec.get("action") is not None:
            self.faults.add(where, "a task has an action or a workflow, not both")
        if text is None:
            if not self.default_action:
                return {"input": given}
            text, where = self.default_action, path
        name, inline = self.read_call(where, key, text)
        if name is None:
            return {}
        if isinstance(given, dict):
            given = {**given, **inline}  # Mistral: lang/v2/tasks.py, _process_action_and_workflow
        elif inline:
            self.faults.add(where, "parameters stand behind the name, so input cannot be one expression")
        if key == "workflow":
            return {"workflow": name, "input": given}
        return {**self.expand(where, name, given), "input": given}

    def expand(self, path: Path, name: str, given: dict[str, Any] | str) -> dict[str, Any]:
        expanded = self.actions.expand(name)
        self.weight += expanded.weight // 64
        if not expanded.chain and isinstance(given, dict):
            self.check_pure(path, expanded.action, given)
        action = None if expanded.action == EXTERNAL_ACTION else expanded.action
        return {"action": action, "adhoc": expanded.chain}

    def read_input(self, path: Path, given: Any) -> dict[str, Any] | str:
        if given is None:
            return {}
        if isinstance(given, str) and is_expression(given):
            compile_template(self.faults, path, given)
            return given
        if isinstance(given, str):
            self.faults.add(path, "input is an object, or one expression that gives an object")
            return {}
        if not is_object(self.faults, path, given, "input"):
            return {}
        compile_template(self.faults, path, given)
        return dict(given)

    def read_call(self, path: Path, what: str, text: Any) -> tuple[str | None, dict[str, Any]]:
        """Read a name with parameters behind it; the name is None where there is a fault."""
        if not isinstance(text, str):
            self.faults.add(path, f"{what} is a string, not {kind(text)}")
            return None, {}
        try:
            name, parameters = parse_call(text)
        except CallError as error:
            self.faults.add(path, str(error))
            return None, {}
        check_inline(self.faults, path, parameters)
        return (
            name if self.check_name(path, name, f"{'an' if what == 'action' else 'a'} {what}") else None
        ), parameters

    def check_name(self, path: Path, name: Any, what: str) -> bool:
        """Check a name that may be an expression; that too is short, as it stands in the place of the name."""
        if not check_name(self.faults, path, name, what):
            return False
        if has_expression(name):
            compile_inside(self.faults, path, name)
        return True

    def check_pure(self, path: Path, action: str, parameters: dict[str, Any]) -> None:
        needed, optional = PURE_PARAMETERS.get(action, (frozenset(), frozenset(parameters)))
        for name in sorted(needed - parameters.keys()):
            self.faults.add(path, f"{action} needs the parameter '{name}'")
        for name in parameters:
            if name not in needed and name not in optional:
                self.faults.add(path, f"{action} has no parameter {shown(name)}")

    # -- on what, where, when -----------------------------------------------------------------------------------------

    def read_items(self, path: Path, given: Any) -> dict[str, Any]:
        """Read `variable in list`, or a list of these (Mistral: `_get_with_items_as_dict`)."""
        if given is None:
            return {}
        entries: list[tuple[Path, Any]] = [(path, given)]
        if isinstance(given, list):
            entries = [((*path, index), entry) for index, entry in enumerate(given)]
            if not entries:
                self.faults.add(path, "with-items has at least one variable")
        items: dict[str, Any] = {}
        for here, text in entries:
            match = _ITEM.match(text) if isinstance(text, str) else None
            if not match:
                self.faults.add(here, f"with-items is 'variable in list', not {shown(text)}")
            elif match[1] in items:
                self.faults.add(here, f"the variable {shown(match[1])} stands here twice")
            else:
                items[match[1]] = self.read_list(here, text[match.end() :].rstrip())
        return items

    def read_list(self, path: Path, text: str) -> Any:
        values: Any = text
        if text.startswith("["):
            try:
                values = json.loads(text)
            except (ValueError, RecursionError):
                self.faults.add(path, f"{shown(text)} is no JSON list")
                return []
        elif not is_expression(text):
            self.faults.add(path, f"behind 'in' stands an expression or a JSON list, not {shown(text)}")
        compile_inside(self.faults, path, values)
        return values

    def read_target(self, path: Path, spec: dict[str, Any]) -> str:
        target = spec.get("target", "default")
        return target if "target" in spec and self.check_name(path, target, "a target") else "default"

    def read_join(self, path: Path, spec: dict[str, Any], max_tasks: int) -> int | None:
        join = spec.get("join")
        if join == "all":
            return topology.ALL
        if join == "one":
            return 1
        if join is None or (type(join) is int and 0 <= join <= max_tasks):
            return join or None  # Mistral: `if task_spec.get_join()`; 0 is no join
        self.faults.add((*path, "join"), f"join is all, one or a number of tasks, not {shown(join)}")
        return None
