"""Texts by the hundred: what is written is read back, and anything else is refused with a typed error."""

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyengine.compilers.calls import CallError, parse_call
from lazyengine.compilers.document import read

texts = st.text(st.sampled_from("ab1.:-#'\" \n~<=é😀"), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner, max_size=3),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.dictionaries(texts, values, max_size=4), st.booleans())
def test_it_reads_what_pyyaml_writes(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    assert read(text) == value


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.text(st.sampled_from("ab =()\"'[]{},:-1.\\n\0\ud800ü"), max_size=20))
def test_any_text_is_a_call_or_not(text):
    try:
        name, parameters = parse_call(text)
    except CallError:
        return
    assert name
    assert all(isinstance(key, str) for key in parameters)


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    st.dictionaries(
        st.text(st.sampled_from("abc-_9"), min_size=1),
        st.one_of(st.booleans(), st.integers(), st.none(), st.text(st.characters(exclude_characters='"'), max_size=9)),
        max_size=5,
    )
)
def test_what_is_written_is_read_back(parameters):
    written = {key: f'"{value}"' if isinstance(value, str) else json.dumps(value) for key, value in parameters.items()}
    text = " ".join(f"{key}={value}" for key, value in written.items())
    assert parse_call(f"do {text}") == ("do", parameters)
    assert parse_call(f"do({text.replace(' ', ', ')})")[0] == "do"
