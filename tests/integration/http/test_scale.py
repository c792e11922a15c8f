"""Graphs of every shape and size run to SUCCESS over HTTP, on every database."""

import pytest

from tests.integration.http.client import Client


@pytest.fixture
def client(serve, database_url):
    """A client of a service over each kind of database."""
    with Client(serve("--database-url", database_url).port) as client:
        yield client


def test_diamond(client):
    """Fan-out and join: the join is handed out once, with the second of its branches."""
    execution = client.start(
        {"a": {"on-success": ["b", "c"]}, "b": {"on-success": "d"}, "c": {"on-success": "d"}, "d": {"join": "all"}}
    )
    scheduled = [[task["task"] for task in client.complete(execution, name)["scheduled"]] for name in "abcd"]
    assert scheduled == [["b", "c"], [], ["d"], []]
    assert client.get(execution)["state"] == "SUCCESS"


def test_fan_in_of_200(client):
    """A join of 200 branches runs exactly once, with the last of them."""
    names = [f"branch-{n}" for n in range(200)]
    tasks = {name: {"on-success": "join"} for name in names} | {"join": {"join": "all"}}
    execution = client.start(tasks)
    scheduled = [client.complete(execution, name)["scheduled"] for name in names]
    assert [task["task"] for task in scheduled[-1]] == ["join"]
    assert not any(scheduled[:-1])
    assert client.complete(execution, "join")["execution"]["state"] == "SUCCESS"


def test_chain_of_10_000(client):
    """A chain of 10,000 tasks, completed 500 at a time, ends; so does one of std.noop without anybody's help."""
    size, batch = 10_000, 500
    tasks = {f"t{n}": {"on-success": f"t{n + 1}"} for n in range(size - 1)} | {f"t{size - 1}": {}}
    execution = client.start(tasks)
    for first in range(0, size, batch):
        entries = [{"name": f"t{n}", "state": "SUCCESS"} for n in range(first, first + batch)]
        answer = client.put(f"/executions/{execution}/tasks", {"tasks": entries})
        assert {entry["status"] for entry in answer["tasks"]} == {200}
    assert client.get(execution)["state"] == "SUCCESS"
    pure = client.start({name: {"action": "std.noop", **task} for name, task in tasks.items()})
    assert client.get(pure)["state"] == "SUCCESS"
