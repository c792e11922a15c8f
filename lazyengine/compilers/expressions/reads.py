"""What an expression may read, worked out before it runs; so that a decision loads that and no more."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

# fmt: off
FUNCTIONS = frozenset((
    "env", "execution", "executions", "global", "json_dump", "json_parse", "task", "tasks", "uuid", "yaml_dump",
    "yaml_parse",
))
# fmt: on
"""Mistral's own, known to both languages; in Jinja they are filters too.

Source: Mistral's `expressions/std_functions.py` and its entry points `mistral.expression.functions`.
"""

WITH_SPEC = frozenset(("execution", "task"))
"""Those that give an object with a member `spec`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Never less than what is read, sometimes more: a name here may well not exist.

    :param variables: names read from `$` or `_`; None: any of them
    :param tasks: names given to `task()` as literals; None: any of them
    :param current_task: `task()` without a name
    :param task_list: `tasks()`, which may look at every task of every execution
    :param execution: `execution()`
    :param specs: the member `spec` of whatever `task()`, `tasks()` and `execution()` give
    :param executions: `executions()`, and `tasks()` for those that are nested
    :param env: `env()`
    :param global_: `global()`
    """

    variables: frozenset[str] | None = frozenset()
    tasks: frozenset[str] | None = frozenset()
    current_task: bool = False
    task_list: bool = False
    execution: bool = False
    specs: bool = False
    executions: bool = False
    env: bool = False
    global_: bool = False

    def __or__(self, other: "Reads") -> "Reads":
        """Return what either of them reads."""
        return merged((self, other))


def merged(each: Iterable[Reads]) -> Reads:
    """Return what any of them reads.  Cost: all names together."""
    various = set(each)
    facts: dict[str, list[Any]] = {
        field.name: [getattr(reads, field.name) for reads in various] for field in fields(Reads)
    }
    return Reads(variables=_named(facts.pop("variables")), tasks=_named(facts.pop("tasks")), **_any(facts))


def _named(sets: list[frozenset[str] | None]) -> frozenset[str] | None:
    known = [names for names in sets if names is not None]
    return frozenset().union(*known) if len(known) == len(sets) else None


def _any(facts: dict[str, list[bool]]) -> dict[str, bool]:
    return {name: any(flags) for name, flags in facts.items()}


NOTHING = Reads()
EVERYTHING = Reads(
    variables=None,
    tasks=None,
    current_task=True,
    task_list=True,
    execution=True,
    specs=True,
    executions=True,
    env=True,
    global_=True,
)
ANY_VARIABLE = Reads(variables=None, env=True)
"""`$` or `_` as a whole; Mistral keeps the environment in it, as `__env`."""

_CALLS = {
    "env": Reads(env=True),
    "execution": Reads(execution=True, specs=True),
    "executions": Reads(executions=True),
    "global": Reads(global_=True),
    "tasks": Reads(task_list=True, executions=True, specs=True),
}


def of_call(function: str, name: str | None, known: bool) -> Reads:
    """Return what a call of one of Mistral's functions reads, its arguments apart.

    :param name: the first argument, where it is a literal; None where there is none
    :param known: whether the arguments are such
    """
    if function != "task":
        return _CALLS.get(function, NOTHING)
    if not known:
        return Reads(tasks=None, current_task=True, specs=True)
    return Reads(tasks=frozenset((name,)), specs=True) if name else Reads(current_task=True, specs=True)


def of_member(called: Reads, member: str) -> Reads:
    """Return what is read by a call of `task` or `execution` with the name of a member behind it."""
    return replace(called, specs=member == "spec")


def of_variable(name: str) -> Reads:
    """Return what the name after `$.` or `_.` reads; Mistral keeps three names of its own among the variables."""
    return Reads(env=True) if name == "__env" else Reads(variables=frozenset((name,)))
