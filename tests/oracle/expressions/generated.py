"""Random expressions over the sample views: valid in form, and often enough in meaning."""

from random import Random
from typing import Any

_PATHS = (
    "n",
    "name",
    "list",
    "map",
    "map.a",
    "map.b.c",
    "users",
    "nothing",
    "yes",
    "half",
    "text",
    "missing",
    "nested",
)
_METHODS = (
    "len()",
    "first()",
    "last()",
    "toUpper()",
    "sum()",
    "keys()",
    "distinct()",
    "reverse()",
    "toList()",
    "toSet()",
)
_LAMBDAS = ("where({})", "select({})", "orderBy({})", "any({})", "all({})", "groupBy({})", "takeWhile({})")
_CALLS = ("str", "len", "isString", "isList", "bool", "json_dump", "yaml_dump", "int", "float", "abs", "isEmpty")
_OPERATORS = ("+", "-", "*", "/", "mod", "=", "!=", "<", ">", ">=", "and", "or", "in")
# fmt: off
_FILTERS = (
    "length", "upper", "first", "last", "sum", "list", "tojson", "string", "int", "sort", "join('-')", "max",
    "abs", "default(1)", "float", "title", "dictsort", "unique | list", "reverse | list", "map('string') | list",
)
# fmt: on
_LITERALS = ("0", "1", "2", "-1", "'a'", "'Ann'", "2.5", "null", "true", "[1, 2]", "[]", "{a => 1}")
_PYTHONIC = {"null": "none", "{a => 1}": "{'a': 1}", "mod": "%", "=": "==", "in": "in"}


def yaql(random: Random, depth: int) -> str:
    choice = random.randrange(8) if depth else random.randrange(3)
    if choice == 0:
        return random.choice(_LITERALS)
    if choice <= 2:
        root = random.choice(("$.", "$.", "$.", "task(one).", "env().", "task().result."))
        return root + random.choice(_PATHS)
    inner = yaql(random, depth - 1)
    if choice == 3:
        return f"({inner}).{random.choice(_METHODS)}"
    if choice == 4:
        body = random.choice(("$", "$ > 1", "$.age", "$.name", "$ = null", "$.tags", "$ + 1", "len($)"))
        return f"({inner}).{random.choice(_LAMBDAS).format(body)}"
    if choice == 5:
        return f"{random.choice(_CALLS)}({inner})"
    if choice == 6:
        return random.choice(("not ({})", "-({})", "({})[0]", "({})?.a", "[{}, 1]", "{{k => {}}}")).format(inner)
    return f"({inner}) {random.choice(_OPERATORS)} ({yaql(random, depth - 1)})"


def jinja(random: Random, depth: int) -> str:
    choice = random.randrange(7) if depth else random.randrange(3)
    if choice == 0:
        literal = random.choice(_LITERALS)
        return _PYTHONIC.get(literal, literal)
    if choice <= 2:
        root = random.choice(("_.", "_.", "_.", "task('one').", "env().", "task().result."))
        return root + random.choice(_PATHS)
    inner = jinja(random, depth - 1)
    if choice <= 4:
        return f"({inner}) | {random.choice(_FILTERS)}"
    if choice == 5:
        form = random.choice(("not ({})", "-({})", "({})[0]", "({}).a", "[{}, 1]", "{{'k': {} }}", "({}) is defined"))
        return form.format(inner)
    operator = random.choice(_OPERATORS)
    return f"({inner}) {_PYTHONIC.get(operator, operator)} ({jinja(random, depth - 1)})"


def templates(seed: int, count: int) -> list[Any]:
    """Return values to be evaluated, half of them in each language, some of them texts around expressions."""
    random = Random(seed)
    made: list[Any] = []
    for index in range(count):
        text = f"<% {yaql(random, 3)} %>" if index % 2 else f"{{{{ {jinja(random, 3)} }}}}"
        made.append(random.choice((text, text, text, f"a {text} b", {"k": [text]})))
    return made
