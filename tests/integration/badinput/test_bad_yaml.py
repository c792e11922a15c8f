"""Definitions as text that is no YAML, or YAML made to hurt: 400 `definition.invalid`, soon and in little memory."""

import pytest

from tests.integration.badinput.attacker import forget_peak, peak_megabytes, refused, works

DEEP = 100_000


def doubling(merge=False, levels=30):
    """Aliases that double at each level, in lists or under merge keys."""
    if merge:
        lines = ["l0: &l0 {a0: 1, b0: 1}"]
        lines += [
            f"l{n}: &l{n} {{<<: [*l{n - 1}, *l{n - 1}], a{n}: *l{n - 1}, b{n}: *l{n - 1}}}" for n in range(1, levels)
        ]
    else:
        lines = ["l0: &l0 [x, x]"] + [f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]" for n in range(1, levels)]
    return "\n".join(lines)


TEXTS = {
    "empty": "",
    "blank": " \n\n",
    "a scalar": "hello",
    "a list": "- a\n- b",
    "JSON that is cut": '{"w": {"tasks": ',
    "tabs": "w:\n\ttasks: {}",
    "unclosed quote": 'w: "x',
    "unclosed bracket": "w: [",
    "two documents": "w: {tasks: {a: {}}}\n---\nv: {tasks: {a: {}}}",
    "unknown anchor": "w: *nobody",
    "alias of itself": "w: &a {tasks: *a}",
    "Python object": "w: !!python/object/apply:os.system ['true']",
    "other tag": "w: !foo {tasks: {a: {}}}",
    "binary": "w: {tasks: {a: {input: {x: !!binary aGVsbG8=}}}}",
    "timestamp tag": "w: {tasks: {a: {input: {x: !!timestamp 2026-01-01}}}}",
    "set": "w: {tasks: !!set {a, b}}",
    "infinity": "w: {tasks: {a: {input: {x: .inf}}}}",
    "not a number": "w: {tasks: {a: {input: {x: .nan}}}}",
    "number as a key": "w: {tasks: {1: {}}}",
    "null as a key": "w: {tasks: {~: {}}}",
    "list as a key": "w: {tasks: {[a]: {}}}",
    "duplicate task": "w:\n  tasks:\n    a: {}\n    a: {}\n",
    "duplicate workflow": "w: {tasks: {a: {}}}\nw: {tasks: {b: {}}}",
    "duplicate by quotes": "w: {tasks: {a: {}, 'a': {}}}",
    "directive": "%YAML 9.9\n---\nw: {}",
    "control character": "w: {tasks: {a: {input: {x: '\x07'}}}}",
    "huge number": "w: {tasks: {a: {input: {x: " + "9" * 100_000 + "}}}}",
    "huge octal": "w: {tasks: {a: {input: {x: 0" + "7" * 100_000 + "}}}}",
    "huge sexagesimal": "w: {tasks: {a: {input: {x: 1" + ":59" * 50_000 + "}}}}",
    "100,000 flow lists": "w: " + "[" * DEEP + "]" * DEEP,
    "100,000 flow lists, open": "w: " + "[" * DEEP,
    "100,000 flow objects": "w: " + "{a: " * DEEP + "1" + "}" * DEEP,
    "100,000 block lists": "- " * DEEP + "x",
    "100,000 lists in a result": "w: {tasks: {a: {input: {x: " + "[" * DEEP + "]" * DEEP + "}}}}",
    "3,000 block objects": "\n".join(" " * n + "a:" for n in range(3_000)),
    "100,000 explicit keys": "? " * DEEP,
    "aliases that double": doubling(),
    "merges that double": doubling(merge=True),
    "merge of a scalar": "w: {<<: 1}",
    "merge of itself": "w: &a {<<: *a}",
    "a million anchors": "w: [" + "&a x," * 1_000_000 + "]",
    "a million values": "w: {tasks: {a: {input: {x: [" + "1," * 1_100_000 + "]}}}}",
    "7 MiB of brackets": "[]," * 2_000_000,
    "7 MiB of blanks": "w:" + " " * 7_000_000 + "{",
    "2,000,000 comments": "#\n" * 2_000_000,
    "7 MiB of text": "x" * 7_000_000,
    "7 MiB of open quotes": "w: '" + "x " * 3_500_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_that_is_no_definition(attacker, text):
    """However it is made, it is one fault or a few, with a place, and soon."""
    answer = attacker.define(text)
    refused(answer, 400, "definition.invalid", within_seconds=15)
    assert all(len(entry["detail"]) <= 500 for entry in answer.json["errors"])


def test_an_alias_bomb_is_not_unfolded(attacker, workers):
    """A billion values in a few lines cost no memory: they are counted, not made."""
    before = max(map(peak_megabytes, workers))
    for worker in workers:
        forget_peak(worker)
    for levels in (20, 60, 1_000):
        for merge in (False, True):
            refused(attacker.define(doubling(merge, levels)), 400, "definition.invalid", within_seconds=5)
    assert max(map(peak_megabytes, workers)) < before + 150


def test_modest_aliases_work(attacker):
    """Aliases and merge keys are YAML that people use."""
    text = "w: {tasks: {a: &a {on-success: c, description: x}, b: {<<: *a, description: y}, c: {join: all}}}"
    started = works(attacker.define(text))
    assert [assignment["task"] for assignment in started["scheduled"]] == ["a", "b"]
