"""Executions within executions over HTTP; every answer is checked against the OpenAPI document."""

import uuid

import pytest

NEST = "{version: '2.0', w: {tasks: {a: {workflow: v, on-success: z}, z: {}}}, v: {tasks: {b: {}}}}"


@pytest.fixture
def above(api, start):
    """The id of an execution whose task 'a' another one works for."""
    return start(NEST, workflow="w")


@pytest.fixture
def below(api, above):
    return api.get(f"/executions/{above}/tasks/a").json["child_execution_id"]


def test_both_name_each_other(api, above, below):
    execution = api.get(f"/executions/{below}").json
    assert execution["parent"]["execution_id"] == above
    assert execution["parent"]["task"] == "a"
    assert execution["root_execution_id"] == above
    highest = api.get(f"/executions/{above}").json
    assert (highest["parent"], highest["root_execution_id"]) == (None, above)


def test_those_below_an_execution_are_listed(api, above, below):
    assert [one["id"] for one in api.get(f"/executions?parent={above}").json["executions"]] == [below]
    assert api.get(f"/executions?parent={below}").json["executions"] == []
    assert api.get(f"/executions?parent={uuid.uuid4()}").json["executions"] == []
    api.get("/executions?parent=me", status=400)


@pytest.mark.parametrize("body", [{"state": "SUCCESS"}, {"state": "CANCELLED"}, {"state": "RUNNING", "progress": 0.5}])
def test_nobody_else_reports_on_a_task_that_an_execution_does(api, above, below, body):
    answer = api.put_json(f"/executions/{above}/tasks/a", body, status=409).json
    assert answer["code"] == "task.runs_workflow"
    assert below in answer["detail"]


def test_the_end_of_the_one_below_is_answered_again(api, above, below):
    first = api.put_json(f"/executions/{below}/tasks/b", {"state": "SUCCESS"}).json
    again = api.put_json(f"/executions/{below}/tasks/b", {"state": "SUCCESS"}).json
    assert (first.pop("replayed"), again.pop("replayed")) == (False, True)
    assert first == again
    assert api.get(f"/executions/{above}/tasks/a").json["state"] == "SUCCESS"
    assert api.post_json("/tasks/claim", {"worker": "w"}).json["tasks"][0]["task"] == "z"


def test_an_id_of_one_below_is_in_use(api, below):
    body = {"definition": NEST, "workflow": "w", "id": below}
    assert api.post_json("/executions", body, status=409).json["code"] == "execution.id_in_use"


def test_one_below_that_is_deleted_takes_nothing_with_it(api, above, below):
    api.delete(f"/executions/{below}", status=409)
    api.delete(f"/executions/{below}?force=true", status=204)
    api.get(f"/executions/{below}", status=404)
    assert api.get(f"/executions/{above}/tasks/a").json["state"] == "CANCELLED"
    api.delete(f"/executions/{above}?force=true", status=204)


def test_an_execution_takes_those_below_with_it(api, above, below):
    api.delete(f"/executions/{above}?force=true", status=204)
    api.get(f"/executions/{below}", status=404)
    api.put_json(f"/executions/{below}/tasks/b", {"state": "SUCCESS"}, status=404)
