"""JSON is written, and refused, as Python's own encoder would, with every choice of options."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyengine.encoder import encoder

OPTIONS = [
    {"ensure_ascii": ascii_only, "allow_nan": nan, "sort_keys": is_sorted}
    for ascii_only, nan, is_sorted in product((True, False), repeat=3)
]
TEXTS = st.text(st.characters(codec=None))  # lone surrogates too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner),
)


def outcome(encode, value):
    """Return what is written, or what is raised."""
    try:
        return encode(value)
    except Exception as error:
        return type(error), str(error)


def own(options):
    return json.JSONEncoder(separators=(",", ":"), **options).encode


@given(st.sampled_from(OPTIONS), VALUES)
def test_any_value_is_written_as_python_writes_it(options, value):
    assert outcome(encoder(**options), value) == outcome(own(options), value)


class Word(str):
    """A kind of string, as the states are."""


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    "value",
    [
        Word("SUCCESS"),
        [Word("a"), {Word("b"): 1}],
        {7: "a", None: "b", True: "c", 2.5: "d"},
        {"b": 1, "a": [float("nan")]},
        {(1, 2): 3},
        {1: 1, "1": 2},
        [object()],
        {"a": {"set"}},
        float("inf"),
        "\ud800\0\u2028é",
        10**4000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_are_written_or_refused_as_by_python(options, value):
    assert outcome(encoder(**options), value) == outcome(own(options), value)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_circle_is_told_from_what_is_deep(options):
    circle: list[object] = []
    circle.append({"again": circle})
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    encode = encoder(**options)
    with pytest.raises(ValueError, match="Circular reference"):
        encode(circle)
    with pytest.raises(RecursionError):
        encode(deep)
    assert encode([[1], circle[:0]]) == "[[1],[]]"  # nothing is remembered of either


def test_the_same_value_may_stand_in_two_places():
    shared = {"a": [1]}
    assert encoder()([shared, shared]) == '[{"a":[1]},{"a":[1]}]'


def test_without_an_encoder_in_c_pythons_own_writes(monkeypatch):
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert encoder(sort_keys=True)({"b": "é", "a": None}) == '{"a":null,"b":"\\u00e9"}'
