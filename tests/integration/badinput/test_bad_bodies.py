"""JSON of the wrong shape: wrong types, unknown members, values out of bounds; and bodies of the wrong size."""

import uuid

import pytest

from tests.integration.badinput.attacker import refused, works

DEFINITION = {"w": {"tasks": {"a": {}}}}
STARTS = {
    "nothing": {},
    "unknown member": {"definition": DEFINITION, "definitoin": 1},
    "notify without a URL": {"definition": DEFINITION, "notify": [{"on": ["finished"]}]},
    "start in the past": {"definition": DEFINITION, "params": {"start_after_seconds": -1}},
    "member of Python": {"definition": DEFINITION, "__class__": {}},
    "no definition": {"input": {}},
    "definition is null": {"definition": None},
    "definition is a list": {"definition": [DEFINITION]},
    "definition with NUL": {"definition": "a\0"},
    "definition with a lone surrogate": {"definition": "\ud800"},
    "workflow is a number": {"definition": DEFINITION, "workflow": 1},
    "workflow is empty": {"definition": DEFINITION, "workflow": ""},
    "workflow with NUL": {"definition": DEFINITION, "workflow": "\0"},
    "input is a list": {"definition": DEFINITION, "input": []},
    "input is null": {"definition": DEFINITION, "input": None},
    "params is a text": {"definition": DEFINITION, "params": "env"},
    "env is a list": {"definition": DEFINITION, "params": {"env": []}},
    "default action with a line feed": {"definition": DEFINITION, "params": {"default_action": "a\nb"}},
    "id is no UUID": {"definition": DEFINITION, "id": "1"},
    "id in braces": {"definition": DEFINITION, "id": "{00000000-0000-4000-8000-000000000000}"},
    "id in other digits": {"definition": DEFINITION, "id": "\u0660" * 8 + "-0000-4000-8000-000000000000"},
    "id with a line feed": {"definition": DEFINITION, "id": "00000000-0000-4000-8000-000000000000\n"},
    "description too long": {"definition": DEFINITION, "description": "x" * 4_097},
    "description with a lone surrogate": {"definition": DEFINITION, "description": "\udc00"},
    "tags is a text": {"definition": DEFINITION, "tags": "a,b"},
    "65 tags": {"definition": DEFINITION, "tags": ["a"] * 65},
    "tag is empty": {"definition": DEFINITION, "tags": [""]},
    "tag too long": {"definition": DEFINITION, "tags": ["x" * 256]},
    "tag with NUL": {"definition": DEFINITION, "tags": ["a\0"]},
    "tag is a number": {"definition": DEFINITION, "tags": [1]},
}
REPORTS = {
    "nothing": {},
    "no state": {"result": 1},
    "unknown state": {"state": "DONE"},
    "lower case": {"state": "success"},
    "a state nobody reports": {"state": "PENDING"},
    "state is a list": {"state": ["SUCCESS"]},
    "state is null": {"state": None},
    "failure of a success": {"state": "SUCCESS", "failure": {"type": "a", "message": "b"}},
    "failure is a text": {"state": "FAILURE", "failure": "oh no"},
    "failure without message": {"state": "FAILURE", "failure": {"type": "a"}},
    "failure message with NUL": {"state": "FAILURE", "failure": {"type": "a", "message": "\0"}},
    "failure message too long": {"state": "FAILURE", "failure": {"type": "a", "message": "x" * 65_537}},
    "attempt 0": {"state": "SUCCESS", "attempt": 0},
    "attempt -1": {"state": "SUCCESS", "attempt": -1},
    "attempt 1.5": {"state": "SUCCESS", "attempt": 1.5},
    "attempt true": {"state": "SUCCESS", "attempt": True},
    "attempt is a text": {"state": "SUCCESS", "attempt": "1"},
    "attempt 2^31": {"state": "SUCCESS", "attempt": 2**31},
    "attempt 2^64": {"state": "SUCCESS", "attempt": 2**64},
    "attempt 10^4000": {"state": "SUCCESS", "attempt": 10**4_000},
    "attempt 1e300": {"state": "SUCCESS", "attempt": 1e300},
    "progress 2": {"state": "RUNNING", "progress": 2},
    "progress -1e-9": {"state": "RUNNING", "progress": -1e-9},
    "progress 10^400": {"state": "RUNNING", "progress": 10**400},
    "lease 0": {"state": "RUNNING", "lease_seconds": 0},
    "lease for ever": {"state": "RUNNING", "lease_seconds": 1e308},
    "result of a heartbeat": {"state": "RUNNING", "result": 1},
}
CLAIMS = {
    "nothing": {},
    "worker is empty": {"worker": ""},
    "worker with a lone surrogate": {"worker": "\ud800"},
    "limit 0": {"worker": "w", "limit": 0},
    "limit 1,001": {"worker": "w", "limit": 1_001},
    "waits for ever": {"worker": "w", "wait_seconds": 1e9},
    "waits for less than nothing": {"worker": "w", "wait_seconds": -1},
    "65 targets": {"worker": "w", "targets": ["t"] * 65},
    "targets is null": {"worker": "w", "targets": None},
    "action is null": {"worker": "w", "actions": [None]},
    "claim key with NUL": {"worker": "w", "claim_key": "\0"},
    "huge lease": {"worker": "w", "lease_seconds": 86_401},
}
CHANGES = {
    "nothing": {},
    "a state nobody asks for": {"state": "SUCCESS"},
    "state is a number": {"state": 1},
    "description is null": {"description": None},
    "tags is an object": {"tags": {}},
    "unknown member": {"output": 1},
}
BATCHES = {
    "nothing": {},
    "null": {"tasks": None},
    "an object": {"tasks": {}},
    "entry is a text": {"tasks": ["a"]},
    "entry without name": {"tasks": [{"state": "SUCCESS"}]},
    "entry without state": {"tasks": [{"name": "a"}]},
    "entry is a heartbeat": {"tasks": [{"name": "a", "state": "RUNNING"}]},
    "second entry is wrong": {"tasks": [{"name": "a", "state": "SUCCESS"}, {"name": "a", "state": "SUCCESS", "x": 1}]},
    "name with NUL": {"tasks": [{"name": "a\0", "state": "SUCCESS"}]},
    "iteration 0": {"tasks": [{"name": "a", "state": "SUCCESS", "iteration": 0}]},
    "1,001 entries": {"tasks": [{"name": "a", "state": "SUCCESS"}] * 1_001},
    "a million entries": {"tasks": [0] * 1_000_000},
}


def execution_of(attacker):
    """Start an execution with one task, and return its path."""
    return f"/executions/{works(attacker.define(DEFINITION))['id']}"


@pytest.mark.parametrize("body", STARTS.values(), ids=STARTS.keys())
def test_bad_starts(attacker, body):
    """What is no wish to start an execution is refused, not guessed at."""
    refused(attacker.post(body), 400, "request.invalid")


@pytest.mark.parametrize("body", REPORTS.values(), ids=REPORTS.keys())
def test_bad_reports(attacker, body):
    """A report that is refused leaves the task as it was."""
    path = execution_of(attacker)
    refused(attacker.put(f"{path}/tasks/a", body), 400, "request.invalid")
    assert works(attacker.send("GET", f"{path}/tasks/a"), 200)["state"] == "RUNNING"


@pytest.mark.parametrize("body", CLAIMS.values(), ids=CLAIMS.keys())
def test_bad_claims(attacker, body):
    """A claim that is refused is refused at once, however long it wants to wait."""
    refused(attacker.post(body, "/tasks/claim"), 400, "request.invalid", within_seconds=5)


@pytest.mark.parametrize("body", CHANGES.values(), ids=CHANGES.keys())
def test_bad_changes(attacker, body):
    """A change that is refused changes nothing."""
    path = execution_of(attacker)
    refused(attacker.put(path, body), 400, "request.invalid")
    assert works(attacker.send("GET", path), 200)["state"] == "RUNNING"


@pytest.mark.parametrize("body", BATCHES.values(), ids=BATCHES.keys())
def test_bad_batches(attacker, body):
    """A batch with one malformed entry is refused as a whole: nothing of it was done."""
    path = execution_of(attacker)
    refused(attacker.put(f"{path}/tasks", body), 400, "request.invalid")
    assert works(attacker.send("GET", f"{path}/tasks/a"), 200)["state"] == "RUNNING"


def test_a_batch_of_one_task_a_thousand_times(attacker):
    """The first entry counts and 999 are replays; one of another outcome is refused by itself."""
    path = execution_of(attacker)
    entries = [{"name": "a", "state": "SUCCESS"}] * 999 + [{"name": "a", "state": "CANCELLED"}]
    answer = works(attacker.put(f"{path}/tasks", {"tasks": entries}), 200)
    assert [entry["replayed"] for entry in answer["tasks"]] == [False, *[True] * 998, False]
    assert answer["tasks"][-1]["code"] == "task.already_completed"


def test_an_id_is_the_same_in_upper_case(attacker):
    """The id of a caller is canonical whatever its case: a repeat in capitals starts nothing twice."""
    wish = {"definition": DEFINITION, "id": str(uuid.uuid4())}
    works(attacker.post(wish))
    refused(attacker.post(wish | {"id": wish["id"].upper()}), 409, "execution.id_in_use")
    works(attacker.send("GET", f"/executions/{wish['id'].upper()}"), 200)
