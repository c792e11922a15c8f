"""What the evaluator's process does, done in this one: Mistral's functions, values as JSON, answers."""

import json
from typing import Any

import pytest

from lazyengine.compilers.expressions.child import answer_of
from lazyengine.compilers.expressions.values import encoded

SUB = {"id": "e2", "state": "ERROR", "task_execution_id": "t2", "root_execution_id": "e1", "created_at": "2024-02"}
VIEW: dict[str, Any] = {
    "variables": {"n": 5, "list": [1, 2], "json": '{"a": [1]}'},
    "env": {"region": "eu"},
    "globals": {"g": 7},
    "execution": {"id": "e1", "name": "wf"},
    "task": {"id": "t0", "name": "now", "result": "r"},
    "tasks": {"one": {"id": "t1", "name": "one", "result": [1]}},
    "task_list": [
        {"id": "t1", "name": "one", "state": "SUCCESS", "type": "ACTION", "workflow_execution_id": "e1"},
        {"id": "t2", "name": "sub", "state": "ERROR", "type": "WORKFLOW", "workflow_execution_id": "e1"},
        {"id": "t3", "name": "in", "state": "ERROR", "type": "ACTION", "workflow_execution_id": "e2"},
    ],
    "executions": [{"id": "e1", "state": "RUNNING", "created_at": "2024-01"}, SUB],
}

SAME_IN_BOTH = {
    "env().region": "eu",
    "execution().name": "wf",
    "task().result": "r",
    "task('now').result": "r",
    "task('one').result": [1],
    "task('none')": None,
    "global('g')": 7,
    "json_parse('[1, null]')": [1, None],
    "json_dump([1])": "[\n    1\n]",
    "yaml_parse('a: [1, 2020-01-02]')": {"a": [1, "2020-01-02"]},
    "yaml_dump([1, 'a'])": "- 1\n- a\n",
    "executions('e2')": [SUB],
}
YAQL = {
    "tasks().name": ["one", "sub", "in"],
    "tasks(e1).name": ["one", "sub"],
    "tasks(e1, true).name": ["one", "sub", "in"],
    "tasks(e1, true, ERROR).name": ["sub", "in"],
    "tasks(e1, flat => true).name": ["one"],
    "executions(state => ERROR).id": ["e2"],
    "executions(fromTime => '2024-01', toTime => '2024-02').id": ["e1"],
    "uuid().len()": 36,
    "yaml_dump($.list)": "- 1\n- 2\n",
    "yaml_dump({a => $.list})": "a:\n- 1\n- 2\n",
    "datetime(2024, 1, 2)": "2024-01-02T00:00:00.000000",
    "set(1)": [1],
    "range(2)": [0, 1],
    "foo": "foo",
    "$.n + 1": 6,
    "$__env.region": "eu",
}
JINJA = {
    "_ | env": {"region": "eu"},
    "_.n + 1": 6,
    "range(2)": [0, 1],
    "__execution.id": "e1",
    "_.list | map('string')": ["1", "2"],
}


def answer(language: str, text: str, result_bytes: int = 1_000) -> dict[str, Any]:
    said, lost = answer_of(json.dumps(VIEW), [(language, text)], result_bytes)
    assert not lost
    told: dict[str, Any] = json.loads(said)
    return told


@pytest.mark.parametrize("source", SAME_IN_BOTH)
def test_functions_of_both_languages(source: str) -> None:
    assert answer("yaql", f"<% {source} %>") == {"values": [SAME_IN_BOTH[source]]}
    assert answer("jinja", f"{{{{ {source} }}}}") == {"values": [SAME_IN_BOTH[source]]}


@pytest.mark.parametrize("source", YAQL)
def test_yaql(source: str) -> None:
    assert answer("yaql", f"<% {source} %>") == {"values": [YAQL[source]]}


@pytest.mark.parametrize("source", JINJA)
def test_jinja(source: str) -> None:
    assert answer("jinja", f"{{{{ {source} }}}}") == {"values": [JINJA[source]]}


def test_texts_around_expressions() -> None:
    assert answer("yaql", "a <% $.n %> <% $.list %>") == {"values": ["a 5 [1, 2]"]}
    assert answer("jinja", "a {{ _.n }}{% if _.list %}!{% endif %}") == {"values": ["a 5!"]}


def test_an_error_names_the_part_that_failed() -> None:
    assert answer("yaql", "a <% $.n %> <% $.x %>") == {"error": "failed", "at": "<% $.x %>", "message": "KeyError: 'x'"}
    assert answer("jinja", "a {{ _.x }}")["at"] == "a {{ _.x }}"
    assert answer("yaql", "<% $.list %>", result_bytes=3)["error"] == "size"
    assert "is not a JSON value" in answer("jinja", "{{ range }}")["message"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "a object is not a JSON value"),
        (float("inf"), "not JSON compliant"),
        ("a\x00", "NUL"),
        (["\ud800"], "surrogate"),
        ({"a": "\udfff"}, "surrogate"),
        (json.loads("[" * 65 + "]" * 65), "deeper than 64"),
    ],
)
def test_what_is_no_value(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encoded(value)


def test_a_text_about_nul_is_a_value() -> None:
    assert json.loads(encoded(["\\u0000", b"x", {1: frozenset((2,))}])) == ["\\u0000", "x", {"1": [2]}]
    assert json.loads(encoded(json.loads("[" * 64 + "]" * 64)))
