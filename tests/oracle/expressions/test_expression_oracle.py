"""Each expression gives what Mistral 23 gives, or fails where it fails; what differs is listed, with the reason."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lazyengine.compilers.expressions import EvaluationError, Evaluator, View, compile_template
from lazyengine.compilers.faults import Faults
from tests.oracle.expressions import generated, hand_picked, sample_views

Mistral = Callable[[list[Any]], list[dict[str, Any]]]

DIFFERENT = {
    "<% json_parse('NaN') %>": "no number that JSON has, and no database that keeps it",
    "{{ _.map.items }}": "Mistral stores the text of a method, with its address in memory",
    "{{ lipsum }}": "Mistral stores the text of a function, with its address in memory",
    "{{ range }}": "Mistral stores the text of a function, with its address in memory",
    "{{ joiner() }}": "Mistral stores the attributes of an object of Jinja",
    "{{ self }}": "Mistral stores the attributes of an object of Jinja",
    "{{ json_dump(_.list | map('string')) }}": "Mistral writes the text of an iterator, not what is in it",
    "{% if _.n %}yes{% endif %}": "Mistral fails on blocks alone, with an IndexError",
}
"""Expressions that we treat differently, with the reason."""


def ours(evaluator: Evaluator, value: Any, view: dict[str, Any]) -> dict[str, Any]:
    faults = Faults()
    template = compile_template(faults, (), value)
    if faults.found:
        return {"error": faults.found[0].message}
    try:
        return {"value": evaluator.evaluate(template, View(**view))}
    except EvaluationError as error:
        return {"error": str(error)}


def is_same(their: dict[str, Any], our: dict[str, Any]) -> bool:
    if "error" in their or "error" in our:
        return "error" in their and "error" in our
    return written(their["value"]) == written(our["value"])


def written(value: Any) -> str:
    """Write a value as JSON, the addresses in the texts of Python's objects left out."""
    return re.sub("0x[0-9a-f]+", "0x", json.dumps(value, sort_keys=True))


def compare(mistral: Mistral, evaluator: Evaluator, jobs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Fail with each difference that is not explained; say how many were equal."""
    theirs = mistral(jobs)
    outcomes = [(value, their, ours(evaluator, value, view)) for (value, view), their in zip(jobs, theirs, strict=True)]
    different = [outcome for outcome in outcomes if not is_same(*outcome[1:])]
    unexplained = [outcome for outcome in different if not isinstance(outcome[0], str) or outcome[0] not in DIFFERENT]
    with capsys.disabled():
        values = sum("value" in their for _, their, _ in outcomes)
        print(f"\n{len(jobs)} compared, {len(jobs) - len(different)} equal, {values} of them values; "
              f"{len(different) - len(unexplained)} differences explained")  # fmt: skip
    assert not unexplained, "\n".join(map(str, unexplained))


def test_hand_picked_expressions(mistral: Mistral, evaluator: Evaluator, capsys: pytest.CaptureFixture[str]) -> None:
    """In a task, outside of one, and over an execution that has nothing yet."""
    values = [f"<% {source} %>" for source in hand_picked.YAQL]
    values += [f"{{{{ {source} }}}}" for source in hand_picked.JINJA] + hand_picked.TEXTS
    views = (sample_views.IN_TASK, sample_views.OUTSIDE, sample_views.BARE)
    compare(mistral, evaluator, [(value, view) for value in values for view in views], capsys)


@pytest.mark.parametrize("seed", range(3))
def test_generated_expressions(
    mistral: Mistral, evaluator: Evaluator, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [(value, sample_views.IN_TASK) for value in generated.templates(seed, 1_500)]
    compare(mistral, evaluator, jobs, capsys)
