"""What an expression may read is known before it runs: never less than it reads, and no more than it has to be."""

from typing import Any

import pytest

from lazyengine.compilers.expressions import EVERYTHING, NOTHING, Reads, load_template
from lazyengine.compilers.expressions.view import View, message


def variables(*names: str) -> Reads:
    return Reads(variables=frozenset(names))


def tasks(*names: str) -> Reads:
    return Reads(tasks=frozenset(names))


ANY = Reads(variables=None, env=True)
ANY_TASK = Reads(tasks=None, current_task=True, specs=True)

YAQL = {
    "1 + 1": NOTHING,
    "$": ANY,
    "$1": ANY,
    "$.a": variables("a"),
    "$?.a": variables("a"),
    "$.a.b.c": variables("a"),
    "$.a + $.b": variables("a", "b"),
    "$['a b']": variables("a b"),
    "$[a]": variables("a"),
    "$[$.a]": ANY | variables("a"),
    "$.get(a, $.b)": variables("a", "b"),
    "$.get($.a)": ANY | variables("a"),
    "$.containsKey(a)": variables("a"),
    "$.keys()": ANY,
    "len($)": ANY,
    "$.a.where($ > 1)": variables("a"),
    "$.a.where($.b > 1 and $.c)": variables("a"),
    "$.a.where($ > $.b.select($.c))": variables("a"),
    "$.a.select({x => $, y => $.b})": variables("a"),
    "$.a.select($).where($)": variables("a"),
    "$.a.aggregate($1 + $2, $.b)": variables("a", "b"),
    "$.a.aggregate($1 + $2, $)": ANY | variables("a"),
    "$.a.groupBy($.x, $.y, $.z)": variables("a"),
    "$.a.join($.b, $1 = $2, $1)": ANY | variables("a", "b"),
    "$.a.where(predicate => $ > 1)": ANY | variables("a"),
    "where($.a, $ > 1)": ANY | variables("a"),
    "let(x => $.a) -> $x": variables("a"),
    "[$.a, {b => $.c}]": variables("a", "c"),
    "not ($.a)": variables("a"),
    "task()": Reads(current_task=True, specs=True),
    "task(null)": Reads(current_task=True, specs=True),
    "task().result": Reads(current_task=True),
    "task(one).result": tasks("one"),
    "task('one').result + task(two).result": tasks("one", "two"),
    "task($.a)": ANY_TASK | variables("a"),
    "task().spec.tags": Reads(current_task=True, specs=True),
    "task(one).result.spec": tasks("one"),
    "task($.a).result": Reads(tasks=None, current_task=True) | variables("a"),
    "task(task_name => one)": ANY_TASK,
    "$.a.select(task($))": ANY_TASK | variables("a"),
    "tasks()": Reads(task_list=True, executions=True, specs=True),
    "execution().id": Reads(execution=True),
    "execution()": Reads(execution=True, specs=True),
    "executions()": Reads(executions=True),
    "env().a": Reads(env=True),
    "$.a.aggregate(seed => $, selector => $1 + $2)": ANY | variables("a"),
    "$__env": Reads(env=True),
    "global(a)": Reads(global_=True),
    "uuid() + json_dump($.a)": variables("a"),
    "call(task, [one], {})": EVERYTHING,
    "def(task, $) -> task(1)": EVERYTHING,
}

JINJA = {
    "1 + 1": NOTHING,
    "_": ANY,
    "_.a": variables("a"),
    "_.a.b": variables("a"),
    "_['a b']": variables("a b"),
    "_[_.a]": ANY | variables("a"),
    "_.get('a', _.b)": variables("a", "b"),
    "'a' in _": variables("a"),
    "'a' not in _": variables("a"),
    "_.items": ANY,
    "_ | length": ANY,
    "_._a": ANY,
    "_.a | default(_.b)": variables("a", "b"),
    "[_.a, {'b': _.c}]": variables("a", "c"),
    "task()": Reads(current_task=True, specs=True),
    "task(none)": Reads(current_task=True, specs=True),
    "task('one').result": tasks("one"),
    "task('one').spec": tasks("one") | Reads(specs=True),
    "task('one')['result']": tasks("one") | Reads(specs=True),
    "task(_.a).state": Reads(tasks=None, current_task=True) | variables("a"),
    "task(task_name='one').result": tasks("one"),
    "task(_.a)": ANY_TASK | variables("a"),
    "task(*['a'])": ANY_TASK,
    "task": ANY_TASK,
    "_ | task('one')": ANY | ANY_TASK,
    "['one'] | map('task') | list": EVERYTHING,
    "['one'] | map(_.a) | list": EVERYTHING | variables("a"),
    "['one'] | map('upper') | list": NOTHING,
    "['one'] | map(attribute='x') | list": NOTHING,
    "tasks()": Reads(task_list=True, executions=True, specs=True),
    "execution().id": Reads(execution=True),
    "execution()": Reads(execution=True, specs=True),
    "executions()": Reads(executions=True),
    "env().a": Reads(env=True),
    "__env.a": Reads(env=True),
    "global('a')": Reads(global_=True),
    "uuid() ~ json_dump(_.a)": variables("a"),
}


@pytest.mark.parametrize("source", YAQL)
def test_what_yaql_reads(source: str) -> None:
    assert load_template(f"<% {source} %>").reads == YAQL[source]


@pytest.mark.parametrize("source", JINJA)
def test_what_jinja_reads(source: str) -> None:
    assert load_template(f"{{{{ {source} }}}}").reads == JINJA[source]


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        ("plain", NOTHING),
        ("a <% $.a %> b <% task(one).result %>", variables("a") | tasks("one")),
        ("{% for x in _.a %}{{ x.b }}{{ _.c }}{% endfor %}", variables("a", "c")),
        ({"x": ["<% $.a %>", {"y": "{{ _.b }}"}], "<% $.z %>": 1}, variables("a", "b")),
        (["<% $.a %>", "<% $ %>"], ANY),
    ],
)
def test_what_a_template_reads(value: Any, reads: Reads) -> None:
    assert load_template(value).reads == reads


def test_merging_takes_the_wider_of_each() -> None:
    assert variables("a") | variables("b") | tasks("x") == Reads(variables=frozenset("ab"), tasks=frozenset("x"))
    assert variables("a") | EVERYTHING == EVERYTHING
    assert NOTHING | NOTHING == NOTHING


def test_only_what_is_read_is_sent() -> None:
    """A context may be large; an expression that reads one variable of it does not pay for the others."""
    view = View(
        variables={"a": 1, "b": 2},
        env={"e": 1},
        globals={"g": 1},
        execution={"id": "x", "input": {}},
        task={"id": "t", "name": "now", "result": 1},
        tasks={"one": {"name": "one"}, "two": {"name": "two"}},
    )
    least = {"execution": {"id": "x"}, "task": {"id": "t", "name": "now"}}
    assert message(view, variables("a", "none")) == {**least, "variables": {"a": 1}}
    assert message(view, tasks("one")) == {**least, "variables": {}, "tasks": {"one": {"name": "one"}}}
    assert message(view, tasks("now"))["task"] == view.task
    assert message(view, EVERYTHING) == {
        "variables": view.variables, "env": view.env, "globals": view.globals, "execution": view.execution,
        "task": view.task, "tasks": view.tasks, "task_list": [], "executions": [],
    }  # fmt: skip
