"""Graphs of every shape and size run to SUCCESS over HTTP, on every database; the longest whole on SQLite.

`LAZYENGINE_TEST_FULL=1` takes them whole on each database.
"""

import os

import pytest

from tests.integration.http.client import Client

FULL = bool(os.environ.get("LAZYENGINE_TEST_FULL"))
ONE_BY_ONE = () if FULL else pytest.mark.backends("sqlite")


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


def test_fan_in_of_500(client):
    """A join of 500 branches, a fifth of them one by one, runs exactly once, with the last of them."""
    names = [f"branch-{n}" for n in range(500)]
    tasks = {name: {"on-success": "join"} for name in names} | {"join": {"join": "all"}}
    execution = client.start(tasks)
    scheduled = [client.complete(execution, name)["scheduled"] for name in names[:100]]
    for first in range(100, 499, 100):
        answer = client.complete_all(execution, [{"name": name} for name in names[first : min(first + 100, 499)]])
        scheduled += [entry["scheduled"] for entry in answer]
    assert len(scheduled) == 499
    assert not any(scheduled)
    assert [task["task"] for task in client.complete(execution, names[499])["scheduled"]] == ["join"]
    assert client.complete(execution, "join")["execution"]["state"] == "SUCCESS"


@pytest.mark.parametrize("concurrency", [0, pytest.param(10, marks=ONE_BY_ONE)])
def test_1_000_items(client, concurrency):
    """Each in its place of the result, in whatever order they end; of ten at a time, the next begins as one ends."""
    size = 1_000
    spread = {"with-items": f"i in <% range(0, {size}) %>", "input": {"i": "<% $.i %>"}, "concurrency": concurrency}
    execution = client.start({"a": {"publish": {"sum": "<% task(a).result.sum() %>"}, **spread}})
    path = f"/executions/{execution}/tasks/a"
    for item in range(50):
        answer = client.put(f"{path}?item={item}", {"state": "SUCCESS", "result": item})
        begun = [(task["item"], task["input"]) for task in answer["scheduled"]]
        assert begun == ([(item + 10, {"i": item + 10})] if concurrency else [])
    rest = list(range(50, size))
    while rest:
        batch, rest = rest[: concurrency or 300], rest[concurrency or 300 :]
        client.complete_all(execution, [{"name": "a", "item": item, "result": item} for item in reversed(batch)])
    answer = client.get(execution)
    assert (answer["state"], answer["output"]) == ("SUCCESS", {"sum": sum(range(size))})
    assert client.send("GET", path)[1]["result"] == list(range(size))


@pytest.mark.parametrize("action", [pytest.param("somebodys", marks=ONE_BY_ONE), "std.noop"])
def test_a_loop_of_1_000_turns(client, action):
    """Each turn sees what the one before it published; of actions that end by themselves, nobody has to do anything."""
    turns = 1_000
    again = {"on-success": [{"a": f"<% $.n < {turns} %>"}]}
    tasks = {"s": {"action": "std.noop", "publish": {"n": 0}, "on-success": "a"}}
    execution = client.start(tasks | {"a": {"action": action, "publish": {"n": "<% $.n + 1 %>"}, **again}})
    if action != "std.noop":
        for turn in range(1, 51):
            scheduled = client.complete(execution, "a")["scheduled"]
            assert [task["iteration"] for task in scheduled] == [turn + 1]
        for _ in range(50, turns, 190):
            client.complete_all(execution, [{"name": "a"}] * 190)
    answer = client.get(execution)
    assert (answer["state"], answer["output"]) == ("SUCCESS", {"n": turns})
    assert client.send("GET", f"/executions/{execution}/tasks/a")[1]["iteration"] == turns


def test_chain_of_10_000(client, database_url):
    """A chain of 10,000 tasks, completed 500 at a time, ends; so does one of std.noop without anybody's help."""
    size, batch = 10_000 if FULL or database_url.startswith("sqlite") else 2_000, 500
    tasks = {f"t{n}": {"on-success": f"t{n + 1}"} for n in range(size - 1)} | {f"t{size - 1}": {}}
    execution = client.start(tasks)
    for first in range(0, size, batch):
        client.complete_all(execution, [{"name": f"t{n}"} for n in range(first, first + batch)])
    assert client.get(execution)["state"] == "SUCCESS"
    pure = client.start({name: {"action": "std.noop", **task} for name, task in tasks.items()})
    assert client.get(pure)["state"] == "SUCCESS"
