"""Running a task again over HTTP."""

import uuid

import pytest

ITEMS = "{version: '2.0', w: {tasks: {a: {with-items: 'i in [1, 2]', action: x}}}}"
TASKS = "{version: '2.0', w: {tasks: {a: {action: x, input: {p: 1}, on-success: b}, b: {}}}}"
FAILURE = {"state": "FAILURE", "failure": {"type": "t", "message": "m"}}


@pytest.fixture
def failed(api, start):
    """The path of an execution whose task 'a' has failed."""
    path = f"/executions/{start(TASKS)}"
    api.put_json(f"{path}/tasks/a", FAILURE)
    return path


def test_a_rerun_answers_with_the_execution_and_what_it_handed_out(api, failed):
    execution = api.post_json(f"{failed}/rerun", {"task": "a", "input": {"q": 2}}).json
    (assignment,) = execution.pop("scheduled")
    assert (assignment["task"], assignment["attempt"], assignment["input"]) == ("a", 2, {"p": 1, "q": 2})
    assert execution == api.get(failed).json
    assert (execution["state"], execution["output"], execution["finished_at"]) == ("RUNNING", None, None)
    assert api.get(f"{failed}/tasks/a").json["input"] == {"p": 1, "q": 2}
    answer = api.put_json(f"{failed}/tasks/a", {"state": "SUCCESS", "attempt": 2}).json
    assert [one["task"] for one in answer["scheduled"]] == ["b"]


def test_a_skip_goes_on_without_it(api, failed):
    execution = api.post_json(f"{failed}/rerun", {"task": "a", "skip": True}).json
    assert [one["task"] for one in execution["scheduled"]] == ["b"]
    assert api.get(f"{failed}/tasks/a").json["state"] == "SKIPPED"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task": 1},
        {"task": "a", "reset": "yes"},
        {"task": "a", "iteration": 0},
        {"task": "a", "input": []},
        {"task": "a", "input": None},
        {"task": "a", "skip": True, "input": {}},
        {"task": "a", "env": {}},
    ],
)
def test_bad_bodies_are_refused(api, failed, body):
    assert api.post_json(f"{failed}/rerun", body, status=400).json["code"] == "request.invalid"
    assert api.get(failed).json["state"] == "FAILURE"


def test_what_cannot_run_again_says_why(api, failed, start):
    def code(path, **body):
        return api.post_json(f"{path}/rerun", {"task": "a", **body}, status="4*").json["code"]

    assert code(f"/executions/{uuid.UUID(int=0)}") == "execution.not_found"
    assert code(failed, task="x") == code(failed, iteration=2) == "task.not_found"
    assert code(failed, task="b") == "task.not_failed"
    api.post_json(f"{failed}/rerun", {"task": "a"})
    assert code(failed) == "task.not_failed", "it runs again"
    api.put_json(failed, {"state": "SUSPENDED"})
    assert code(failed) == "execution.suspended"
    api.put_json(failed, {"state": "RUNNING"})
    for task in "ab":
        api.put_json(f"{failed}/tasks/{task}", {"state": "SUCCESS"})
    assert code(failed) == "execution.succeeded"
    path = f"/executions/{start(ITEMS)}"
    for item in range(2):
        api.put_json(f"{path}/tasks/a?item={item}", FAILURE)
    assert code(path, input={}) == "task.input_of_items"
    scheduled = api.post_json(f"{path}/rerun", {"task": "a", "reset": False}).json["scheduled"]
    assert [one["item"] for one in scheduled] == [0, 1]
