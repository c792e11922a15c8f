"""Jinja expressions and templates as they are written: their faults, what they read, which of them are plain paths.

Only parsed here, never compiled: Jinja's compiler already evaluates what is constant, and `9 ** 9 ** 9` is.
Source: Mistral's `expressions/jinja_expression.py`.
"""

from collections.abc import Iterator
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from lazyengine.compilers.expressions.reads import (
    ANY_VARIABLE,
    EVERYTHING,
    FUNCTIONS,
    NOTHING,
    WITH_SPEC,
    Reads,
    merged,
    of_call,
    of_member,
    of_variable,
)
from lazyengine.compilers.expressions.shortcut import Shortcut, is_plain

_BY_NAME = {"map", "select", "reject", "selectattr", "rejectattr"}
"""Filters that call another filter or test, named by an argument."""

_OWN = {"__env": Reads(env=True)}


def new_environment() -> SandboxedEnvironment:
    """Return an environment with Mistral's options."""
    return SandboxedEnvironment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)


_ENVIRONMENT = new_environment()


def parse(text: str) -> nodes.Template:
    """Parse a text.

    :raises ValueError: it is no template; the message says where
    """
    try:
        return _ENVIRONMENT.parse(text)
    except jinja2.TemplateError as error:
        raise ValueError(error.message or type(error).__name__) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def reads_of(tree: nodes.Node) -> Reads:
    """Work out what a template may read.  Cost: its length."""
    found: list[Reads] = []
    left = [tree]
    while left:
        node = left.pop()
        reads, below = _look(node)
        found.append(reads)
        left.extend(below)
    return merged(found)


def _look(node: Any) -> tuple[Reads, list[nodes.Node]]:
    """Return what a node reads itself, and the nodes below that are to be looked at."""
    name = _name_read(node)
    if name is not None:
        return of_variable(name), _arguments(node)[1:]
    if isinstance(node, nodes.Getattr) and _is_call(node.node, WITH_SPEC):
        call: Any = node.node
        return of_member(_called(call.node.name, call), node.attr), _arguments(call)
    if _is_call(node, FUNCTIONS):
        return _called(node.node.name, node), _arguments(node)
    if isinstance(node, nodes.Name):
        return _loaded(node.name), []
    below = list(node.iter_child_nodes())
    if isinstance(node, nodes.Filter | nodes.Test):
        return _filtered(node), below
    return NOTHING, below


def _is_call(node: Any, functions: frozenset[str]) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in functions


def _loaded(name: str) -> Reads:
    if name == "_":
        return ANY_VARIABLE
    if name in FUNCTIONS:
        return of_call(name, None, known=False)  # the function itself, to be called who knows how
    return _OWN.get(name, NOTHING)


def _filtered(node: nodes.Filter | nodes.Test) -> Reads:
    if node.name in FUNCTIONS:
        return of_call(node.name, None, known=False)
    if node.name not in _BY_NAME:
        return NOTHING
    literals = [arg.value if isinstance(arg, nodes.Const) else None for arg in _arguments(node)]
    unknown = (
        node.dyn_args or node.dyn_kwargs or not all(isinstance(value, str | int | float) for value in literals[:1])
    )
    return EVERYTHING if unknown or not FUNCTIONS.isdisjoint(literals) else NOTHING


def _arguments(node: Any) -> list[nodes.Node]:
    """Return every argument of a call, a filter or a comparison; nothing for other nodes."""
    if isinstance(node, nodes.Call | nodes.Filter | nodes.Test):
        more = [arg for arg in (node.dyn_args, node.dyn_kwargs) if arg]
        return [*node.args, *(pair.value if isinstance(pair, nodes.Keyword) else pair for pair in node.kwargs), *more]
    return []


def _name_read(node: nodes.Node) -> str | None:
    """Return the name that `_.name`, `_['name']`, `_.get('name')` and `'name' in _` look at."""
    if isinstance(node, nodes.Getattr) and _is_root(node.node):
        return node.attr if is_plain(node.attr) else None
    if isinstance(node, nodes.Getitem) and _is_root(node.node):
        return _text(node.arg)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "get":
        return _text(node.args[0]) if _is_root(node.node.node) and node.args else None
    if isinstance(node, nodes.Compare) and len(node.ops) == 1 and node.ops[0].op in ("in", "notin"):
        return _text(node.expr) if _is_root(node.ops[0].expr) else None
    return None


def _is_root(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "_"


def _text(node: nodes.Node) -> str | None:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else None


def _called(function: str, node: nodes.Call) -> Reads:
    args = _arguments(node)
    literals = [arg.value for arg in args if isinstance(arg, nodes.Const) and isinstance(arg.value, str | None)]
    known = len(literals) == len(args) <= 1 and not node.dyn_args and not node.dyn_kwargs
    return of_call(function, literals[0] if literals else None, known)


def shortcut_of(tree: nodes.Template) -> Shortcut | None:
    """Return a text that is one expression as a plain path; None: it is none."""
    node = _only(tree)
    names = list(_names(node))
    for _ in names:
        node = node.node
    if not names or not all(is_plain(name) for name in names):
        return None
    path = tuple(reversed(names))
    if isinstance(node, nodes.Name) and node.name == "_":
        return Shortcut("$", None, path)
    if not isinstance(node, nodes.Call) or not isinstance(node.node, nodes.Name):
        return None
    function, args = node.node.name, _arguments(node)
    called = [arg.value for arg in args if isinstance(arg, nodes.Const) and isinstance(arg.value, str)]
    plain = function in ("task", "env") and len(called) == len(args) <= (function == "task")
    if not plain or node.kwargs or node.dyn_args or node.dyn_kwargs or "" in called:
        return None
    return Shortcut(function, called[0] if called else None, path)


def _only(tree: nodes.Template) -> Any:
    output = tree.body[0] if len(tree.body) == 1 else None
    return output.nodes[0] if isinstance(output, nodes.Output) and len(output.nodes) == 1 else None


def _names(node: Any) -> Iterator[str]:
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        name = node.attr if isinstance(node, nodes.Getattr) else _text(node.arg)
        if name is None:
            return
        yield name
        node = node.node
