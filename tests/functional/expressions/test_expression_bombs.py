"""Whatever an expression tries, it ends in an error, in bounded time, and the next one is evaluated."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from lazyengine.compilers.expressions import EvaluationError

PATIENCE_SECONDS = 8.0

BOMBS = {
    "an endless list": "<% sequence().toList() %>",
    "an endless result": "<% sequence() %>",
    "an endless text": "<% repeat('a').join('') %>",
    "a cycle": "<% [1].cycle().sum() %>",
    "a generator": "<% generate(1, true, $ + 1).len() %>",
    "nested ranges": "<% range(9999).selectMany(range(9999)).selectMany(range(9999)).len() %>",
    "a long text": "<% 'a' * 10000000000 %>",
    "a long list": "<% [0] * 10000000000 %>",
    "a huge integer": "<% pow(9, pow(9, pow(9, 9))) %>",
    "a shifted integer": "<% shiftBitsLeft(1, 100000000000) %>",
    "a large shifted integer": "<% shiftBitsLeft(1, 1000000) %>",
    "a regular expression": "<% ('a' * 60 + '!').matches('(a+)+$') %>",
    "a recursion": "<% def(f, f($)) -> f(1) %>",
    "a mutual recursion": "<% def(f, g($) + 1) -> def(g, f($) + 1) -> f(1) %>",
    "Jinja: nested ranges": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ 1 }}",
    "Jinja: a long text": "{{ 'a' * 10 ** 10 }}",
    "Jinja: a long list": "{{ [0] * 10 ** 10 }}",
    "Jinja: a huge integer": "{{ 9 ** (9 ** (9 ** 9)) }}",
    "Jinja: a large integer": "{{ 9 ** 99999 }}",
    "Jinja: a wide text": "{{ 'a' | center(10000000000) }}",
    "Jinja: a wide format": "{{ '%10000000000d' % 1 }}",
    "Jinja: a wide format call": "{{ '{:10000000000}'.format(1) }}",
    "Jinja: a doubling": "{% set n = namespace(t='aaaaaaaa') %}{% for i in range(60) %}{% set n.t = n.t + n.t %}"
    "{% endfor %}{{ n.t }}",
    "Jinja: a recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "Jinja: much lorem ipsum": "{{ lipsum(n=100000000) }}",
    "Jinja: a deep list": "{% set n = namespace(t=[]) %}{% for i in range(5000) %}{% set n.t = [n.t] %}{% endfor %}"
    "{{ json_dump(n.t) }}",
    "Jinja: a list in itself": "{% set l = [] %}{% set _x = l.append(l) %}{{ json_dump(l) }}",
    "a result that is too large": "<% 'a' * 200000 %>",
    "deep JSON": "<% json_parse('[' * 100000) %>",
    "deep JSON as a result": "<% json_parse('[' * 500 + ']' * 500) %>",
    "deep YAML": "<% yaml_parse('[' * 100000) %>",
    "a YAML tag": "<% yaml_parse('!!python/object/apply:os.system [ls]') %>",
    "NUL": "<% 'a\\x00b' %>",
    "half a character": "<% '\\ud800' %>",
    "infinity": "{{ 1e308 * 10 }}",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_an_error_in_bounded_time(
    bomb: str, error_of: Callable[..., EvaluationError], evaluate: Callable[..., Any]
) -> None:
    started = time.monotonic()
    error = error_of(bomb)
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert error.reason in ("failed", "timeout", "memory", "size")
    assert str(error).startswith("Cannot evaluate ")
    assert evaluate("<% 1 + 1 %>") == 2


def test_yaml_aliases_are_text(evaluate: Callable[..., Any]) -> None:
    """So that nothing can be multiplied by them."""
    assert evaluate("<% yaml_parse($.text).b %>", variables={"text": "a: &a x\nb: [*a, *a]"}) == ["*a", "*a"]


@pytest.mark.parametrize(
    ("bomb", "reason", "said"),
    [
        ("<% ('a' * 60 + '!').matches('(a+)+$') %>", "timeout", "it takes longer than 1 s"),
        ("{{ 'a' * 10 ** 10 }}", "memory", "it takes more than 67108864 bytes of memory"),
        ("<% 'a' * 200000 %>", "size", "its value is larger than 100000 bytes"),
    ],
)
def test_the_error_names_the_bound(bomb: str, reason: str, said: str, error_of: Callable[..., EvaluationError]) -> None:
    error = error_of({"deep": [bomb]})
    assert error.reason == reason
    assert error.place == "/deep/0"
    assert said in str(error)
