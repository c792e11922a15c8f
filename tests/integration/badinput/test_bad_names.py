"""Names that look like something else: to a router, a template, a database, a shell. They work, or are refused."""

from urllib.parse import quote

import pytest

from tests.integration.badinput.attacker import refused, works

NAMES = [
    "a b", " a", "a ", "   ", "a.json", "a.", ".a", "...", "%", "%2F", "%2f..%2f", "%00", "100%", "a+b", "a?b", "a#b",
    "a;b", "a&b=c", "a:b", "a@b", "\\", "a\\b", "'", '"', "`", "{}", "{name}", "{0}", "%s", "%(a)s", "$HOME", "*",
    "delete", "_route", "_lookup", "_default", "index", "index.html", "get", "claim", "tasks", "executions", "post",
    "__class__", "None", "null", "true", "1", "-1", "1.0", "NaN", "ü", "ß", "u\u0308", "日本語", "😀",
    "👩\u200d👩\u200d👧", "\u202eevil", "\u2028", "\ufeff", "\ufffd", "\U0010ffff", "a" * 255, "😀" * 255,
    "'; DROP TABLE tasks; --",
]  # fmt: skip
NO_NAMES = [
    "", ".", "..", "a/b", "/", "a\0", "\n", "a\tb", "\x1f", "\x7f", "\x85", "\ud800", "a" * 256,
    "noop", "fail", "succeed", "pause",
]  # fmt: skip


def path_of(execution, name):
    return f"/executions/{execution}/tasks/{quote(name, safe='')}"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_a_name(attacker, name):
    """A task of this name is started, looked at, listed, completed, and completes its join."""
    tasks = {name: {"on-success": "the end"}, "the end": {"join": "all"}}
    started = works(attacker.start(tasks))
    assert [assignment["task"] for assignment in started["scheduled"]] == [name]
    path = path_of(started["id"], name)
    assert works(attacker.send("GET", path), 200)["name"] == name
    listed = works(attacker.send("GET", f"/executions/{started['id']}/tasks"), 200)["tasks"]
    assert [task["name"] for task in listed] == [name, "the end"]
    done = works(attacker.put(path, {"state": "SUCCESS"}), 200)
    assert [assignment["task"] for assignment in done["scheduled"]] == ["the end"]
    batch = {"tasks": [{"name": name, "state": "SUCCESS"}, {"name": "the end", "state": "SUCCESS"}]}
    answer = works(attacker.put(f"/executions/{started['id']}/tasks", batch), 200)
    assert [(entry["status"], entry["replayed"]) for entry in answer["tasks"]] == [(200, True), (200, False)]
    assert answer["execution"]["state"] == "SUCCESS"


@pytest.mark.parametrize("name", NO_NAMES, ids=lambda name: ascii(name[:20]))
def test_what_is_no_name_is_refused(attacker, name):
    """What no URL or database can hold, and the words of the engine, are no names of tasks."""
    refused(attacker.start({name: {}, "b": {}}), 400, "definition.invalid")


@pytest.mark.parametrize("name", ["A", "\u00e4", "a ", "a\u0301"], ids=ascii)
def test_names_are_compared_exactly(attacker, name):
    """What a collation might take for the same name is another one."""
    others = ["a", "a\u0308", "\u00c4", "\u00e1"]
    execution = works(attacker.start({one: {} for one in [name, *others]}))["id"]
    works(attacker.put(path_of(execution, name), {"state": "SUCCESS"}), 200)
    states = {one: works(attacker.send("GET", path_of(execution, one)), 200)["state"] for one in others}
    assert set(states.values()) == {"RUNNING"}


@pytest.mark.parametrize("name", ["a b", "😀", "%2F", "'; DROP TABLE executions; --", "delete", "a\u2028b"], ids=ascii)
def test_names_of_everything_else(attacker, name):
    """Workflow, tag, description, worker and claim key may be as odd, and are found again by it."""
    wish = {"definition": {name: {"tasks": {"a": {"target": name}}}}, "tags": [name], "description": name}
    started = works(attacker.post(wish))
    assert (started["workflow"], started["tags"], started["description"]) == (name, [name], name)
    for parameter in ("workflow", "tag"):
        found = works(attacker.send("GET", f"/executions?{parameter}={quote(name, safe='')}"), 200)["executions"]
        assert [one["id"] for one in found] == [started["id"]]
    claim = {"worker": name, "targets": [name], "claim_key": name}
    (assignment,) = works(attacker.post(claim, "/tasks/claim"), 200)["tasks"]
    assert assignment["execution_id"] == started["id"]
    task = works(attacker.send("GET", path_of(started["id"], "a")), 200)
    assert (task["claimed_by"], task["target"]) == (name, name)
