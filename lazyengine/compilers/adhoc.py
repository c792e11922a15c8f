"""Ad-hoc actions of a workbook: actions with an input and an output of their own, based on other actions.

Source: Mistral's `lang/v2/actions.py`, `actions/adhoc.py` and `engine/tasks.py`, _get_action_descriptor.
"""

from dataclasses import dataclass
from typing import Any

from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.contents import check_about, is_workbook, read_declared
from lazyengine.compilers.expressions import compile_template, has_expression
from lazyengine.compilers.faults import Faults, Path, check_keys, is_object, kind
from lazyengine.compilers.names import check_name
from lazyengine.core.context import merged
from lazyengine.core.graph import AdHoc

ACTION_KEYS = {"base", "base-input", "input", "output", "name", "version", "description", "tags"}
MOST_BASES = 16
"""Ad-hoc actions that may be based on one another."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """What an action comes to.

    :param action: the one at the end, which is no ad-hoc action
    :param chain: the ad-hoc actions before it, that which was asked for first
    :param weight: the characters that a task is longer by
    """

    action: str
    chain: tuple[AdHoc, ...] = ()
    weight: int = 0


@dataclass(frozen=True, slots=True)
class _Definition:
    path: Path
    base: str
    facts: AdHoc
    weight: int


class Actions:
    """The ad-hoc actions of a document, by their full names, `<workbook>.<action>`."""

    def __init__(self, document: dict[Any, Any], faults: Faults) -> None:
        self.faults = faults
        self.book = document.get("name") if is_workbook(document) else None
        self.found: dict[str, _Definition] = {}
        specs = document.get("actions") if is_workbook(document) else None
        if specs is not None and is_object(faults, ("actions",), specs, "actions"):
            for name, spec in specs.items():
                if name != "version" and check_name(faults, ("actions", str(name)), name, "an action"):
                    self.read(name, spec)
            self.check_chains()

    def expand(self, name: str) -> Expanded:
        """Look an action up as `<workbook>.<name>` and then by its name alone, and follow its bases by theirs."""
        full = f"{self.book}.{name}"
        at = full if full in self.found else name
        chain: list[_Definition] = []
        while at in self.found and len(chain) < MOST_BASES:
            chain.append(self.found[at])
            at = chain[-1].base
        return Expanded(at, tuple(one.facts for one in chain), sum(one.weight for one in chain))

    def read(self, name: str, spec: Any) -> None:
        path: Path = ("actions", name)
        if not is_object(self.faults, path, spec, "an ad-hoc action"):
            return
        check_keys(self.faults, path, spec, ACTION_KEYS)
        check_about(self.faults, path, spec)
        defaulted, required = read_declared(self.faults, (*path, "input"), spec.get("input"))
        given = spec.get("base-input")
        if given is None or not is_object(self.faults, (*path, "base-input"), given, "base-input"):
            given = {}
        compile_template(self.faults, (*path, "base-input"), given)
        compile_template(self.faults, (*path, "output"), spec.get("output"))
        base, inline = self.read_base((*path, "base"), spec)
        facts = AdHoc(defaulted, required, merged(given, inline), spec.get("output"))
        self.found[f"{self.book}.{name}"] = _Definition(path, base, facts, _length(facts))

    def read_base(self, path: Path, spec: dict[Any, Any]) -> tuple[str, dict[str, Any]]:
        text = spec.get("base")
        if text is None:
            self.faults.add(path[:-1], "an ad-hoc action has a base")
        elif not isinstance(text, str):
            self.faults.add(path, f"a base is a string, not {kind(text)}")
        else:
            try:
                base, inline = parse_call(text)
            except CallError as error:
                self.faults.add(path, str(error))
                return "", {}
            if has_expression(base):
                self.faults.add(path, "the name of a base is no expression")
            elif check_name(self.faults, path, base, "an action"):
                check_inline(self.faults, path, inline)
                return base, inline
        return "", {}

    def check_chains(self) -> None:
        """Add a fault for each circle of bases, and where a chain of them is too long.  Cost: the actions."""
        lengths: dict[str, int] = {}
        for name in self.found:
            chain: dict[str, None] = {}
            at = name
            while at in self.found and at not in lengths and at not in chain:
                chain[at] = None
                at = self.found[at].base
            if at in chain:
                path = (*self.found[at].path, "base")
                self.faults.add(path, f"the bases of this action lead back to it: {' → '.join([*chain, at]):.1000}")
            length = lengths.get(at, 0)
            for one in reversed(chain):
                lengths[one] = length = length + 1
                if length == MOST_BASES + 1:
                    self.faults.add((*self.found[one].path, "base"), f"at most {MOST_BASES} are based on one another")


def check_inline(faults: Faults, path: Path, parameters: dict[str, Any]) -> None:
    """Check values that stand inside a string, which is the only place that a pointer can tell."""
    inner = faults.inside()
    compile_template(inner, (), parameters)
    for fault in inner.found:
        faults.add(path, f"{fault.message} (parameter {fault.path.removeprefix('/')})")


def _length(value: Any) -> int:
    """About the characters that a value comes to."""
    if isinstance(value, AdHoc):
        return sum(map(_length, (value.input, value.required, value.base_input, value.output)))
    if isinstance(value, dict):
        return sum(len(str(key)) + _length(member) for key, member in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_length, value))
    return len(value) if isinstance(value, str) else 8
