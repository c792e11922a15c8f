"""YAQL expressions as they are written: their faults, what they read, and which of them are plain paths.

Source: the grammar of the `yaql` library, and Mistral's options for it (`config.py`, group `yaql`).
"""

import collections.abc  # noqa: F401 - yaql counts on it being imported
import threading
from typing import Any

from yaql.language import expressions as ast
from yaql.language.exceptions import YaqlException
from yaql.language.factory import YaqlFactory
from yaql.language.utils import FrozenDict

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

OPTIONS = {
    "yaql.limitIterators": -1,
    "yaql.memoryQuota": -1,
    "yaql.convertTuplesToLists": True,
    "yaql.convertSetsToLists": False,
    "yaql.iterableDicts": False,
    "yaql.convertOutputData": True,
}

# fmt: off
_OF_ITEMS = {"toDict": 2, "groupBy": 3} | dict.fromkeys([
    "where", "select", "selectMany", "orderBy", "orderByDescending", "thenBy", "thenByDescending", "takeWhile",
    "skipWhile", "any", "all", "indexWhere", "lastIndexWhere", "distinct", "splitWhere", "sliceWhere", "aggregate",
    "accumulate",
], 1)
# fmt: on
"""Methods whose first arguments, so many of them, are functions of an item, in which `$` is the item."""

_BY_NAME = {"get", "containsKey"}
"""Methods of a dictionary whose first argument is the name that they look at."""

_OWN = {"$__env": Reads(env=True), "$__execution": NOTHING, "$__task_execution": NOTHING}

_parsing = threading.Lock()
"""yaql's lexer and parser keep the state of one expression."""


def new_engine() -> Any:
    """Return an engine with Mistral's options.  Cost: a tenth of a second."""
    return YaqlFactory(keyword_operator="=>", allow_delegates=False).create(options=OPTIONS)


class _Engine:
    made: Any = None


def parse(source: str) -> Any:
    """Parse an expression.

    :raises ValueError: it is none; the message says where
    """
    with _parsing:
        if _Engine.made is None:
            _Engine.made = new_engine()
        try:
            return _Engine.made(source).expression
        except (YaqlException, LookupError, ValueError, TypeError, UnicodeError, RecursionError) as error:
            raise ValueError(str(error) or type(error).__name__) from None


def reads_of(tree: Any) -> Reads:
    """Work out what an expression may read.  Cost: its length."""
    found: list[Reads] = []
    left = [(tree, False)]
    while left:
        node, of_item = left.pop()
        if isinstance(node, ast.Function) and node.name == "def":
            return EVERYTHING  # names may mean anything from here on
        reads, below = _look(node, of_item)
        found.append(reads)
        left.extend(below)
    return merged(found)


def _look(node: Any, of_item: bool) -> tuple[Reads, list[tuple[Any, bool]]]:
    """Return what a node reads itself, and the nodes below that are to be looked at, with whether `$` is an item."""
    if isinstance(node, ast.GetContextValue):
        return _variable(str(node.path.value), of_item), []
    if isinstance(node, ast.Wrap):
        return NOTHING, [(node.expr, of_item)]
    if isinstance(node, ast.MappingRuleExpression):
        return NOTHING, [(node.source, of_item), (node.destination, of_item)]
    if not isinstance(node, ast.Function):
        return NOTHING, []
    args = list(node.args)
    if (name := _name_read(node)) is not None:
        method = args[1].args[1:] if isinstance(args[1], ast.Function) else ()
        return NOTHING if of_item else of_variable(name), [(arg, of_item) for arg in method]
    if node.name == "#operator_." and isinstance(args[1], ast.KeywordConstant) and _gives_spec(args[0]):
        return of_member(_called(args[0]), args[1].value), [(arg, of_item) for arg in args[0].args]
    if node.name in ("#operator_.", "#operator_?.") and isinstance(args[1], ast.Function):
        own, items = args[1], _OF_ITEMS.get(args[1].name, 0)
        placed = [at < items and not isinstance(arg, ast.MappingRuleExpression) for at, arg in enumerate(own.args)]
        inside = [(arg, of_item or is_item) for arg, is_item in zip(own.args, placed, strict=True)]
        return _called(own), [(args[0], of_item), *inside]
    return _called(node), [(arg, of_item) for arg in args]


def _variable(name: str, of_item: bool) -> Reads:
    if name in ("$", "$1"):
        return NOTHING if of_item else ANY_VARIABLE
    return _OWN.get(name, NOTHING)


def _name_read(node: Any) -> str | None:
    """Return the name that `$.name`, `$[name]`, `$.get(name)` and `$.containsKey(name)` look at."""
    if node.name not in ("#operator_.", "#operator_?.", "#indexer") or len(node.args) != 2:
        return None
    receiver, name = node.args
    if not isinstance(receiver, ast.GetContextValue) or receiver.path.value not in ("$", "$1"):
        return None
    if node.name != "#indexer":
        if isinstance(name, ast.Function) and name.name in _BY_NAME and name.args:
            name = name.args[0]
        elif not isinstance(name, ast.KeywordConstant):
            return None
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


def _gives_spec(node: Any) -> bool:
    return type(node) is ast.Function and node.name in WITH_SPEC


def _called(node: Any) -> Reads:
    if node.name not in FUNCTIONS and node.name != "call":
        return NOTHING
    if node.name == "call":
        return EVERYTHING
    literals = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    known = len(literals) == len(node.args) <= 1 and all(value is None or isinstance(value, str) for value in literals)
    return of_call(node.name, literals[0] if literals else None, known)


def shortcut_of(tree: Any) -> Shortcut | None:
    """Return an expression as a plain path; None: it is none."""
    names: list[str] = []
    while isinstance(tree, ast.BinaryOperator) and tree.name == "#operator_.":
        tree, name = tree.args
        if not isinstance(name, ast.KeywordConstant) or not is_plain(name.value):
            return None
        names.append(name.value)
    if isinstance(tree, ast.GetContextValue) and tree.path.value == "$" and names:
        return Shortcut("$", None, tuple(reversed(names)))
    if type(tree) is not ast.Function or tree.name not in ("task", "env") or not names:
        return None
    called = [arg.value for arg in tree.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if len(called) != len(tree.args) or len(called) > (tree.name == "task") or "" in called:
        return None
    return Shortcut(tree.name, called[0] if called else None, tuple(reversed(names)))


class _Path(ast.BinaryOperator):  # type: ignore[misc]
    """`$.a.b` or `task(x).result`, followed at once; yaql would choose among all its meanings of each dot, twice.

    :ivar base: what stands before the first dot
    :ivar names: the path from there
    """

    base: Any
    names: tuple[str, ...]

    def __call__(self, receiver: Any, context: Any, engine: Any) -> Any:
        variable = isinstance(self.base, ast.GetContextValue)
        value = context.get_data("$") if variable else self.base(receiver, context, engine)
        for name in self.names:
            if type(value) not in (FrozenDict, dict) or name not in value:
                return super().__call__(receiver, context, engine)
            value = value[name]
        return value


def hasten(tree: Any) -> None:
    """Let each path of an expression be followed at once; nothing else changes.  Cost: its length."""
    nodes, left = [], [tree]
    while left:
        node = left.pop()
        nodes.append(node)
        below = (getattr(node, name, None) for name in ("expr", "source", "destination"))
        left.extend(each for each in (*below, *getattr(node, "args", ())) if isinstance(each, ast.Expression))
    if any(getattr(node, "name", None) == "def" for node in nodes):
        return  # a dot may mean anything from here on
    for node in nodes:
        shortcut = shortcut_of(node) if type(node) is ast.BinaryOperator else None
        if shortcut:
            base = node
            for _ in shortcut.names:
                base = base.args[0]
            node.__class__ = _Path
            node.base, node.names = base, shortcut.names
