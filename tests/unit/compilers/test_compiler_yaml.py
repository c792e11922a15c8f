"""Reading the text: YAML 1.1, less what has no place in JSON."""

import pytest
from compiling import compiled, fault_of

from lazyengine.compilers import document
from lazyengine.compilers.document import read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"),
        ("1", 1),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1:30", 90),
        ("1.5", 1.5),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"\\u00e9\\0"', "é\0"),
        ("! x", "x"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!float 5", 5.0),
        ("!!null x", None),
        ("!!seq [a]", ["a"]),
        ("!!map {a: b}", {"a": "b"}),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02 03:04:05", "2026-01-02 03:04:05"),
        ("=", "="),
        ("<<", "<<"),
        ("[<<]", ["<<"]),
        ("1e400", "1e400"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("{a: [b, {c: d}], e: }", {"a": ["b", {"c": "d"}], "e": None}),
    ],
)
def test_values(text, value):
    found = read(f"x: {text}\n")["x"]
    assert found == value
    assert type(found) is type(value)


def test_a_document_passes_as_it_is():
    value = {"a": 1}
    assert read(value) is value


@pytest.mark.parametrize("text", ["", " \n", "# nothing", "---", "a", "[a]", "7", "---\n...\n", "!!str"])
def test_a_definition_is_an_object(text):
    assert "a definition is an object" in fault_of(text)[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "line 2, column 1: "),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document begins"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands here twice"),
        ("x: [{a: 1, 'a': 2}]", "the key 'a' stands here twice"),
        ("{1: a, 0x1: b}", "the key '1' stands here twice"),
        ("{x: {y: {z: 1, z: 2}}}", "the key 'z' stands here twice"),
        ("? [a]\n: 1", "a key is a list or an object"),
        ("? {a: 1}\n: 1", "a key is a list or an object"),
        ("a: &x [1]\n*x : 2", "a key is a list or an object"),
        ("a: *x", "line 1, column 4: nothing is anchored as 'x'"),
        ("a: &x [*x]", "an alias refers to something that contains it"),
        ("a: &x {b: {c: *x}}", "an alias refers to something that contains it"),
        ("a: &x {<<: *x}", "an alias refers to something that contains it"),
        ("a: !!python/object/apply:os.system [ls]", "has no place here"),
        ("a: !!python/name:os.system", "has no place here"),
        ("a: !!binary aGk=", "has no place here"),
        ("a: !!timestamp 2026-01-02", "has no place here"),
        ("a: !!set {b}", "has no place here"),
        ("a: !!omap [b: 1]", "has no place here"),
        ("a: !!pairs [b: 1]", "has no place here"),
        ("a: !mine b", "has no place here"),
        ("a: !!map [b]", "has no place here"),
        ("a: !!seq {b: 1}", "has no place here"),
        ("a: !!int []", "has no place here"),
        ("a: !!merge b", "has no place here"),
        ("a: !!bool maybe", "'maybe' is no bool"),
        ("a: !!int ''", "'' is no int"),
        ("a: !!int x", "'x' is no int"),
        ("a: !!float x", "'x' is no float"),
        ("a: " + "9" * 10_000, "a number has at most 1000 characters"),
        ("a: 0x" + "F" * 10_000, "a number has at most 1000 characters"),
        ("a: 1" + ":59" * 100_000, "a number has at most 1000 characters"),
        ("a: 1" + "0" * 500 + ":0" * 200 + ".0", "is no float"),
        ("{<<: 7}", "'<<' takes an object or a list of objects"),
        ("{<<: [{a: 1}, 7]}", "'<<' takes an object or a list of objects"),
        ("{<<: {a: 1}, <<: {b: 1}}", "the key '<<' stands here twice"),
        ("a: \0", "control characters are not allowed"),
        ("a: 'b\x07'", "control characters are not allowed"),
        ("a: 1\nb: \ud800", "line 2: a lone surrogate is not a character"),
        ('a: "\\ud800"', "line 1"),
        ("a: @b", "line 1, column 4: "),
        ("%YAML 3.0\n---\na: 1", "line 1"),
        ("\ta: 1", "line 1"),
    ],
)
def test_what_is_refused(text, reason):
    path, message = fault_of(text)
    assert path == ""
    assert reason in message


@pytest.mark.parametrize("mark", ["\ufeff", "---\n", "%YAML 1.1\n---\n"])
def test_what_may_stand_before(mark):
    assert compiled(f"{mark}w: {{tasks: {{a: }}}}\n...\n")[0].size == 1


def test_aliases_share():
    found = read("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n&k e: 1\nf: {*k : 2}")
    assert found["c"] is found["a"]
    assert found["d"] == [found["a"]] * 2
    assert found["f"] == {"e": 2}


def test_an_anchor_can_be_given_again():
    assert read("a: &x 1\nb: *x\nc: &x 2\nd: *x") == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_merge_keys():
    """https://yaml.org/type/merge.html: what stands in the object wins, then the first of the list.

    PyYAML itself has the last of the list win since 6.0.4, and another order of keys.
    """
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nm: {<<: [*x, *y], c: 3}\nn: {d: 4, <<: *x}\no: {<<: []}"
    found = read(text)
    assert found["m"] == {"a": 1, "b": 1, "c": 3}
    assert found["n"] == {"a": 1, "b": 1, "d": 4}
    assert found["o"] == {}
    assert list(found["m"]) == ["b", "c", "a"]


def test_an_object_that_overrides_what_it_merges_can_be_merged_itself():
    assert read("c: &c {x: 2}\nd: {e: &b {<<: *c, x: 1}}\nq: {<<: *b}")["q"] == {"x": 1}


def test_the_nesting_is_limited():
    def nested(levels):
        return "a: " + "[" * levels + "]" * levels

    assert read(nested(63))
    assert "nested deeper than 64" in fault_of(nested(64))[1]


def test_values_are_limited(monkeypatch):
    monkeypatch.setattr(document, "MOST_VALUES", 100)
    assert read("a: [" + "1," * 97 + "]")
    assert "at most 100 values" in fault_of("a: [" + "1," * 98 + "]")[1]


def test_aliases_count_as_what_they_stand_for(monkeypatch):
    monkeypatch.setattr(document, "MOST_VALUES", 100)
    text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\nb: &b [*a, *a, *a, *a]\nc: "
    assert read(text + "[*b]")
    for bomb in ("[*b, *b]", "{<<: [{x: *b}, {y: *b}]}"):
        assert "at most 100 values" in fault_of(text + bomb)[1]


def test_a_merge_counts_too(monkeypatch):
    monkeypatch.setattr(document, "MOST_VALUES", 100)
    merged = "".join(f"m{n}: &m{n}\n  <<: {{<<: *m{n - 1}}}\n  k{n}: 1\n" for n in range(1, 12))
    assert "at most 100 values" in fault_of("m0: &m0 {k: 1}\n" + merged)[1]


def test_long_texts_cannot_be_multiplied(monkeypatch):
    monkeypatch.setattr(document, "MOST_ALIASED", 1000)
    assert read(f"a: &a {'x' * 900}\nb: {'y' * 900}\nc: *a")
    assert "aliases stand for at most 1000" in fault_of(f"a: &a {'x' * 501}\nb: [*a, *a]")[1]
