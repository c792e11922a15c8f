"""Compiling values with expressions: which strings are some, what is wrong with them and where."""

import time
from typing import Any

import pytest

from lazyengine.compilers.expressions import ExpressionInvalid, compile_template, load_template
from lazyengine.compilers.expressions.scan import Language, jinja_source, languages, yaql_parts, yaql_source
from lazyengine.compilers.expressions.template import LONGEST_TEXT, fill
from lazyengine.compilers.faults import Faults


def faults_of(value: Any) -> list[tuple[str, str]]:
    faults = Faults()
    compile_template(faults, ("here",), value)
    return [(fault.path, fault.message) for fault in faults.found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", []),
        ("100%", []),
        ("<% $ %>", [Language.YAQL]),
        ("<%%>", [Language.YAQL]),
        ("<%>", []),
        ("%> <%", []),
        ("<% $\n%>", []),
        ("<%\n<% $ %>", [Language.YAQL]),
        ("{{ _ }}", [Language.JINJA]),
        ("{% if 1 %}", [Language.JINJA]),
        ("{{\n_ }}", []),
        ("{# {{ x #}", []),
        ("<% $ %> {{ _ }}", [Language.JINJA, Language.YAQL]),
    ],
)
def test_languages_of_a_text(text: str, found: list[Language]) -> None:
    assert languages(text) == found


def test_parts_of_a_yaql_text() -> None:
    assert yaql_parts("a <% $.a %>\n<%b%> <% c") == ["<% $.a %>", "<%b%>"]
    assert [yaql_source(part) for part in ("<% $.a %>", "<%b%>", "<% $ >%>")] == ["$.a", "b", "$"]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("{{ a }}", " a "),
        ("{{ a }} ", None),
        ("{{ a }}{{ b }}", None),
        ("{{ '}}' }}", None),
        ("{% if a %}", None),
        ("{{}}", ""),
    ],
)
def test_a_jinja_text_that_is_one_expression(text: str, source: str | None) -> None:
    assert jinja_source(text) == source


@pytest.mark.parametrize("text", ["<%" * 500_000, "{{" * 500_000, "<%\n" * 100_000 + "%>", "<% " + "%" * 500_000])
def test_scanning_takes_linear_time(text: str) -> None:
    started = time.perf_counter()
    languages(text)
    yaql_parts(text)
    assert time.perf_counter() - started < 1


def test_every_fault_is_found_with_its_place() -> None:
    found = faults_of(
        {"a": "<% 1 + %>", "b": ["ok", "{{ ( }}"], "c": {"d": "{% if %}"}, "e/f": "<% 'open %>", "g": "<% %>"}
    )
    assert [path for path, _ in found] == ["/here/a", "/here/b/1", "/here/c/d", "/here/e~1f", "/here/g"]
    assert [("YAQL" in text, "Jinja" in text) for _, text in found] == [
        (True, False), (False, True), (False, True), (True, False), (True, False)
    ]  # fmt: skip
    assert "unexpected end of statement" in found[0][1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("<% ''.__class__ %>", "Lexical error"),
        ({1: "x"}, "quotes make it one"),
        (float("nan"), "not a number that JSON has"),
        ({"x": object()}, "is not a JSON value"),
        ("<% $.a %> {{ _.a }}", "one string"),
        (["<% $.a %> {{ _.a }}"], "one string"),
        ("<% " + " " * LONGEST_TEXT + "1 %>", "at most"),
        ("{{ " + "(" * 20_000 + " }}", "Jinja"),
    ],
)
def test_a_fault_says_what_is_wrong(value: Any, said: str) -> None:
    ((_, text),) = faults_of(value)
    assert said in text


def test_mixed_languages_deep_below_are_jinja() -> None:
    """As in Mistral, which does not look there: the YAQL in it stays text."""
    assert not faults_of([["<% $.a %> {{ _.a }}"]])
    assert load_template([["<% $.a %> {{ _.a }}"]]).texts[0][1].language is Language.JINJA


def test_a_deep_value_is_a_fault() -> None:
    value: Any = "x"
    for _ in range(100):
        value = [value]
    ((_, text),) = faults_of(value)
    assert "nested deeper" in text


@pytest.mark.parametrize("source", ["+".join(["$.a"] * 9_000), "(" * 5_000 + "1" + ")" * 5_000, "$" + ".a" * 9_000])
def test_long_expressions_compile(source: str) -> None:
    assert load_template(f"<% {source} %>").has_expressions


def test_constant_bombs_are_not_evaluated_when_compiled() -> None:
    """Jinja's own compiler would."""
    assert load_template("{{ 9 ** (9 ** (9 ** 9)) }}").has_expressions


def test_loading_refuses_what_was_never_compiled() -> None:
    with pytest.raises(ExpressionInvalid):
        load_template({"a": "<% ( %>"})


def test_filling_copies_only_what_changes() -> None:
    value = {"a": ["<% 1 %>", 2], "b": {"c": [1]}, "d": {"e": "{{ 1 }}", "f": "<% 2 %>"}}
    filled = fill(load_template(value), [10, 20, 30])
    assert filled == {"a": [10, 2], "b": {"c": [1]}, "d": {"e": 20, "f": 30}}
    assert filled["b"] is value["b"]
    assert value["a"] == ["<% 1 %>", 2]
    assert fill(load_template("<% 1 %>"), [{"x": 1}]) == {"x": 1}
