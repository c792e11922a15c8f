"""Faults: how many, how long, and where."""

import pytest
from compiling import definition_of, fault_of, faults_of

from lazyengine.compilers.faults import LONGEST_MESSAGE, LONGEST_POINTER, MOST_FAULTS, kind, pointer, shown

HUGE = "x" * 1_000_000


def test_at_most_so_many():
    assert len(faults_of(definition_of({f"t{number}": 7 for number in range(1000)}))) == MOST_FAULTS


@pytest.mark.parametrize(
    "definition",
    [
        {HUGE: {"tasks": {"a": 7}}},
        {"version": HUGE, "w": {}},
        {"w": {HUGE: 1, "tasks": {"a": {}}}},
        definition_of({HUGE: {}}),
        definition_of({"a": {"on-success": [HUGE]}}),
        definition_of({"a": {"on-success": ["b", HUGE, HUGE]}, "b": {}}),
        definition_of({"a": {"join": HUGE}}),
        definition_of({"a": {"action": HUGE}}),
        definition_of({"a": {"action": f"x {HUGE}"}}),
        definition_of({"a": {"action": f"x y=[{HUGE}"}}),
        definition_of({"a": {"action": f"std.noop {HUGE}=1"}}),
        definition_of({"a": {"action": f"x {HUGE}=NaN"}}),
        definition_of({"a": {"target": HUGE}}),
        definition_of({"a": {"input": {HUGE: ["<% 1 + %>"] * 200}}}),
        definition_of({"a": {}}, input=[HUGE, HUGE]),
        definition_of({"a": {}}, type=HUGE),
        f"a: !<{HUGE}> 1",
        f"a: *{HUGE}",
        f"a: !!bool {HUGE}",
        f"a: !!int {HUGE[:900]}",
        "? " + HUGE[:900] + "\n: 1\n? " + HUGE[:900] + "\n: 2",
    ],
    ids=lambda definition: str(definition)[:40],
)
def test_none_is_long(definition):
    for path, message in faults_of(definition):
        assert len(path) <= LONGEST_POINTER
        assert len(message) <= LONGEST_MESSAGE


def test_pointers_are_escaped():
    """RFC 6901, section 3."""
    assert pointer(("a/b", "~", 0, "")) == "/a~1b/~0/0/"
    assert fault_of(definition_of({"a~b": {"x": 1}}))[0] == "/w/tasks/a~0b/x"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "a boolean"), (1, "a number"), (1.5, "a number"), ("", "a string"), ([], "a list")],
)
def test_kinds(value, text):
    assert kind(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [("a'b", '"a\'b"'), (1.5, "1.5"), (None, "null"), ([1], "a list"), (b"", "a bytes")]
)
def test_shown(value, text):
    assert shown(value) == text
