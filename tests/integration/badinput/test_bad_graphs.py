"""Definitions that are well written and cannot run, or would run for ever: refused, or bounded request by request."""

import pytest

from tests.integration.badinput.attacker import refused, works
from tests.integration.badinput.conftest import MOST_RUNS

NOOP = {"action": "std.noop"}
DEFINITIONS = {
    "no workflow": {},
    "no tasks": {"w": {}},
    "tasks is empty": {"w": {"tasks": {}}},
    "tasks is a list": {"w": {"tasks": ["a"]}},
    "task is a text": {"w": {"tasks": {"a": "b"}}},
    "workflow is null": {"w": None},
    "another version": {"version": "3.0", "w": {"tasks": {"a": {}}}},
    "a workbook": {"workflows": {"w": {"tasks": {"a": {}}}}},
    "tasks outside": {"tasks": {"a": {}}},
    "unknown key": {"w": {"tasks": {"a": {"on-succes": "b"}, "b": {}}}},
    "dangling on-success": {"w": {"tasks": {"a": {"on-success": "nobody"}}}},
    "dangling on-error": {"w": {"tasks": {"a": {"on-error": ["nobody"]}}}},
    "dangling on-complete": {"w": {"tasks": {"a": {"on-complete": ["nobody", "else"]}}}},
    "dangling default": {"w": {"task-defaults": {"on-error": "nobody"}, "tasks": {"a": {}}}},
    "transition to a number": {"w": {"tasks": {"a": {"on-success": 1}}}},
    "transition to a list of lists": {"w": {"tasks": {"a": {"on-success": [["a"]]}}}},
    "transition with a broken condition": {"w": {"tasks": {"a": {"on-success": [{"b": "<% $. %>"}]}, "b": {}}}},
    "loop of one": {"w": {"tasks": {"a": {"on-success": "a"}}}},
    "loop of two": {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"on-success": "a"}}}},
    "join of nothing": {"w": {"tasks": {"a": {"join": "all"}}}},
    "join of more than there are": {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"join": 2}}}},
    "join of -1": {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"join": -1}}}},
    "join of 1.5": {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"join": 1.5}}}},
    "join of true": {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"join": True}}}},
    "join of 10^300": {"w": {"tasks": {"a": {"on-success": "b"}, "b": {"join": 10**300}}}},
    "10,000 edges to one task": {"w": {"tasks": {"a": {"on-success": ["b"] * 10_000}, "b": {}}}},
    "200,000 tasks": {"w": {"tasks": {f"t{n}": {} for n in range(200_000)}}},
    "200,000 faults": {"w": {"tasks": {f"t{n}": {"x": 1} for n in range(100_000)}}},
    "100,000 dangling transitions": {"w": {"tasks": {"a": {"on-success": [f"t{n}" for n in range(100_000)]}}}},
    "loop of 50,000": {"w": {"tasks": {f"t{n}": {"on-success": f"t{(n + 1) % 50_000}"} for n in range(50_000)}}},
    "defaults of a billion edges": {
        "w": {
            "task-defaults": {"on-error": [f"t{n}" for n in range(30_000)]},
            "tasks": {f"t{n}": {} for n in range(30_000)},
        }
    },
    "parameters in a call": {"w": {"tasks": {"a": {"action": "x " + "a=1 " * 200_000 + "("}}}},
    "blanks in a call": {"w": {"tasks": {"a": {"action": "std.echo" + " " * 1_000_000 + "("}}}},
    "brackets in a call": {"w": {"tasks": {"a": {"action": "std.echo output=" + "[" * 1_000_000}}}},
    "opened expressions": {"w": {"tasks": {"a": {"input": {"x": "<% " * 300_000 + "%>"}}}}},
}


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS.keys())
def test_definitions_that_cannot_run(attacker, definition):
    """Each fault is named, at most 100 of them, and nothing is started."""
    answer = attacker.define(definition)
    refused(answer, 400, "definition.invalid", within_seconds=15)
    assert 1 <= len(answer.json["errors"]) <= 100


def test_a_workflow_that_is_not_there(attacker):
    """Asking for another workflow than those of the definition is a 404 that names them."""
    wish = {"definition": {"v": {"tasks": {"a": {}}}, "w": {"tasks": {"a": {}}}}}
    refused(attacker.post(wish | {"workflow": "x"}), 404, "workflow.not_found")
    refused(attacker.post(wish), 404, "workflow.not_found")


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ([], {"x": 1}),
        (["x"], {}),
        (["x"], {"y": 1}),
        (["x"], {"x": 1, "\ud800": 1}),
        (["x"], {"x": 1} | {f"y{n}": 1 for n in range(50_000)}),
    ],
    ids=["undeclared", "missing", "both", "surrogate", "50,000 undeclared"],
)
def test_input_that_does_not_fit(attacker, declared, given):
    """Input is held to what the workflow declares."""
    answer = attacker.post({"definition": {"w": {"input": declared, "tasks": {"a": {}}}}, "input": given})
    refused(answer, 400, "input.invalid")


@pytest.mark.parametrize("depth", [40, 60])
def test_deep_literals_within_the_limit_work(attacker, depth):
    """Nested literals of input and output come back as they were."""
    value = 1
    for level in range(depth // 2 - 4):
        value = [{f"l{level}": value}]
    execution = works(attacker.define({"w": {"output": {"x": value}, "tasks": {"a": NOOP}}}))
    assert execution["output"] == {"x": value}


def test_100_000_tasks_work(attacker):
    """The largest workflow that is taken, all of it handed out at once."""
    started = works(attacker.start({f"t{n}": {} for n in range(100_000)}), within_seconds=60)
    page = works(attacker.send("GET", f"/executions/{started['id']}/tasks?limit=1000"), 200)
    assert len(page["tasks"]) == 1000
    works(attacker.send("DELETE", f"/executions/{started['id']}?force=true"), 204, within_seconds=30)


def test_a_ladder_of_2_to_the_40(attacker):
    """Pure tasks that double at each of 40 layers: each request ends in time; what runs too often ends it."""
    sides = ("a", "b")
    tasks = {
        f"{side}{n}": NOOP | ({"on-success": [f"{other}{n + 1}" for other in sides]} if n < 39 else {})
        for n in range(40)
        for side in sides
    }
    execution = works(attacker.start(tasks), within_seconds=30)
    path = f"/executions/{execution['id']}"
    for _ in range(5):
        if execution["state"] == "RUNNING":  # on a slow machine
            execution = works(attacker.put(path, {"description": "go on"}), 200, within_seconds=30)
    assert execution["state"] == "FAILURE"
    assert f"more than {MOST_RUNS} times" in execution["state_info"]
    works(attacker.send("DELETE", path), 204, within_seconds=30)


def test_a_ladder_of_2_to_the_40_behind_one_report(attacker):
    """The same behind a task of a worker: its report is answered in time."""
    tasks = {f"{side}{n}": NOOP | {"on-success": [f"a{n + 1}", f"b{n + 1}"]} for n in range(40) for side in "ab"}
    tasks = tasks | {"a40": NOOP, "b40": NOOP, "start": {"on-success": ["a0", "b0"]}}
    path = f"/executions/{works(attacker.start(tasks))['id']}"
    works(attacker.put(f"{path}/tasks/start", {"state": "SUCCESS"}), 200, within_seconds=30)
    works(attacker.send("DELETE", f"{path}?force=true"), 204, within_seconds=30)


def test_5_000_runs_of_one_task(attacker):
    """Pure tasks that all lead to one task without a join: it runs as often as it was led to, and all of them end."""
    size = MOST_RUNS
    tasks = {f"n{n}": NOOP | {"on-success": "t"} for n in range(size)} | {"t": NOOP}
    started = works(attacker.start(tasks), within_seconds=30)
    assert started["state"] == "SUCCESS"
    task = works(attacker.send("GET", f"/executions/{started['id']}/tasks/t"), 200)
    assert (task["iteration"], task["state"]) == (size, "SUCCESS")
