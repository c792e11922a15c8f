"""Names: any string without '/' and control characters, at most 255 characters."""

import sys
import unicodedata

import pytest
from compiling import compiled, definition_of, edges_of, nodes_of, paths_of

EXOTIC = [
    " ",
    "a b",
    "50%",
    "a.json",
    "...",
    "~",
    "no\u00a0break",
    "👩\u200d👩\u200d👧",
    "e\u0301",
    "\u202eright to left",
    "שלום",
    "\u2028",
    "\u00ad",
    "\ue000",
    "\ufffe",
    "\U0010ffff",
    "x" * 255,
    "skip",
    "version",
    "<% $.x %>",
]


@pytest.mark.parametrize("name", EXOTIC)
def test_what_may_be_a_name(name):
    nodes = nodes_of({"a": {"on-success": name}, name: {}})
    assert edges_of(nodes, "a") == [("on-success", name)]
    if name != "version":
        assert compiled({name: {"tasks": {"a": {}}}})[0].workflow == name


@pytest.mark.parametrize("name", ["", "x" * 256, "a/b", "/", ".", "..", "a\0", "a\tb", "\n", "\x7f", "\x85", "\ud800"])
def test_what_may_not(name):
    escaped = name.replace("/", "~1")
    assert paths_of(definition_of({name: {}})) == [f"/w/tasks/{escaped}"]
    assert paths_of({name: {"tasks": {"a": {}}}}) == [f"/{escaped}"]


@pytest.mark.parametrize("name", [7, 1.5, True, None])
def test_names_are_strings(name):
    assert paths_of(definition_of({name: {}})) == [f"/w/tasks/{name}"]
    assert paths_of({name: {"tasks": {"a": {}}}}) == [f"/{name}"]


@pytest.mark.parametrize("name", ["fail", "succeed", "pause", "noop"])
def test_a_command_is_no_name_of_a_task(name):
    assert paths_of(definition_of({name: {}})) == [f"/w/tasks/{name}"]
    assert compiled({name: {"tasks": {"a": {}}}})[0].workflow == name


def test_the_refused_characters_are_the_control_characters_and_the_surrogates():
    """Compared with the Unicode database, character by character."""
    from lazyengine.compilers.names import _NOT_IN_NAMES

    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    controls = {c for c in everything[:0xE000] if unicodedata.category(c) in ("Cc", "Cs")}
    assert set(_NOT_IN_NAMES.findall(everything)) == controls
