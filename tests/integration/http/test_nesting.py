"""Executions within executions run to their end over HTTP, deep and many, on every database."""

import pytest

from tests.integration.http.client import Client

DEEP = 20
WIDE = 100


@pytest.fixture
def client(serve, database_url):
    """A client of a service over each kind of database."""
    with Client(serve("--database-url", database_url).port) as client:
        yield client


def start(client, workflows):
    """Start the first of these workflows, each given by its tasks; return its id."""
    definition = {name: {"tasks": tasks} for name, tasks in workflows.items()}
    status, answer = client.send("POST", "/executions", {"definition": definition, "workflow": next(iter(workflows))})
    assert status == 201, answer
    return answer["id"]


def claimed(client, target):
    status, answer = client.send("POST", "/tasks/claim", {"worker": "w", "targets": [target], "limit": 1000})
    assert status == 200
    return answer["tasks"]


def test_a_nest_of_20(client):
    """The end of the lowest is the end of all."""
    workflows = {f"w{n}": {"a": {"workflow": f"w{n + 1}"}} for n in range(DEEP - 1)}
    workflows[f"w{DEEP - 1}"] = {"a": {"target": "deep"}}
    top = start(client, workflows)
    (lowest,) = claimed(client, "deep")
    client.complete(lowest["execution_id"], "a")
    states = []
    execution = top
    while execution is not None:
        states.append(client.get(execution)["state"])
        status, task = client.send("GET", f"/executions/{execution}/tasks/a")
        assert status == 200
        execution = task["child_execution_id"]
    assert states == ["SUCCESS"] * DEEP


def test_100_of_one_task(client):
    """Each is listed below the one that it works for, and its output is among the results in its place."""
    definition = {
        "w": {"tasks": {"a": {"with-items": f"i in <% range({WIDE}) %>", "workflow": "v n=<% $.i %>"}}},
        "v": {"input": ["n"], "output": {"n": "<% $.n %>"}, "tasks": {"b": {"target": "wide"}}},
    }
    status, answer = client.send("POST", "/executions", {"definition": definition, "workflow": "w"})
    assert status == 201
    top = answer["id"]
    status, listed = client.send("GET", f"/executions?parent={top}&limit=1000")
    assert status == 200
    parents = [one["parent"] for one in listed["executions"]]
    assert sorted(parent["item"] for parent in parents) == list(range(WIDE))
    assert {parent["execution_id"] for parent in parents} == {top}
    for task in claimed(client, "wide"):
        client.complete(task["execution_id"], "b")
    status, task = client.send("GET", f"/executions/{top}/tasks/a")
    assert (task["state"], task["items"]) == ("SUCCESS", {"total": WIDE, "done": WIDE, "failed": 0})
    assert task["result"] == [{"n": n} for n in range(WIDE)]
    assert client.get(top)["state"] == "SUCCESS"
