"""Executions over HTTP: started once, listed page by page, steered, deleted."""

import uuid

import pytest
from checked_app import DIAMOND
from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.settings import Settings

NEVER = str(uuid.UUID(int=0))


def test_a_start_hands_out_the_first_batch_and_says_where_it_is(api):
    body = {"definition": DIAMOND, "input": {"who": "you"}, "description": "d", "tags": ["b", "a"]}
    answer = api.post_json("/executions", body, status=201)
    execution = answer.json
    assert [one["task"] for one in execution.pop("scheduled")] == ["split"]
    assert api.get(answer.headers["Location"]).json == execution
    assert (execution["workflow"], execution["state"], execution["input"]) == ("diamond", "RUNNING", {"who": "you"})
    assert (execution["description"], sorted(execution["tags"])) == ("d", ["a", "b"])


def test_a_definition_may_be_an_object(api, start):
    start({"version": "2.0", "w": {"tasks": {"a": {"action": "std.echo output=1"}}}})


def test_a_start_with_an_id_can_be_repeated_but_not_taken_over(api):
    body = {"definition": DIAMOND, "id": str(uuid.uuid4())}
    first = api.post_json("/executions", body, status=201).json
    again = api.post_json("/executions", body, status=200).json
    assert again["id"] == first["id"] == body["id"]
    assert again["created_at"] == first["created_at"]
    other = api.post_json("/executions", {**body, "description": "other"}, status=409).json
    assert other["code"] == "execution.id_in_use"


def test_an_id_of_another_owner_is_taken_and_tells_nothing_of_it(engine):
    api = TestApp(make_app(engine, Settings(auth_tokens="ann:a bob:b")))
    ann, bob = ({"Authorization": f"Bearer {token}"} for token in "ab")
    body = {"definition": DIAMOND, "id": str(uuid.uuid4()), "description": "anns"}
    api.post_json("/executions", body, headers=ann, status=201)
    refused = api.post_json("/executions", body, headers=bob, status=409)
    assert refused.json["code"] == "execution.id_in_use"
    assert "anns" not in refused.text
    api.get(f"/executions/{body['id']}", headers=bob, status=404)
    api.put_json(f"/executions/{body['id']}/tasks/split", {"state": "SUCCESS"}, headers=bob, status=404)
    api.delete(f"/executions/{body['id']}?force=true", headers=bob, status=404)
    assert api.get("/executions", headers=bob).json["executions"] == []
    assert api.post_json("/tasks/claim", {"worker": "w"}, headers=bob).json["tasks"] == []
    assert len(api.post_json("/tasks/claim", {"worker": "w"}, headers=ann).json["tasks"]) == 1


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("", ""),
        ("x", ""),
        ("{", ""),
        ({}, ""),
        ("version: '2.0'\nw: {tasks: {a: {on-success: nowhere}}}", "nowhere"),
        ("version: '2.0'\nw: {tasks: {a: {with-items: i in 1}, b: {retry: 1}}}", "with-items"),
        ({"version": "2.0", "w": {"tasks": {"a\0": {}}}}, ""),
        ({"version": "2.0", "w": {"tasks": {"\ud800": {}}}}, ""),
        ({"version": "2.0", "w": {"tasks": {"a/b": {}}}}, ""),
    ],
    ids=range(9),
)
def test_a_definition_that_cannot_run_is_refused_with_the_places_of_its_faults(api, definition, words):
    answer = api.post_json("/executions", {"definition": definition}, status=400)
    assert answer.json["code"] in ("definition.invalid", "request.invalid")
    assert words in answer.text
    assert api.get("/executions").json["executions"] == []


def test_input_that_the_workflow_does_not_declare_is_refused(api):
    answer = api.post_json("/executions", {"definition": DIAMOND, "input": {"whom": 1}}, status=400)
    assert answer.json["code"] == "input.invalid"


def test_free_json_comes_back_as_it_was_sent(api, start):
    who = {"nul": "\0", "lone": "\ud800", "astral": "😀", "big": 10**40, "small": 1e-300, "deep": [[[{}]]], "\0": None}
    body = {"definition": DIAMOND, "input": {"who": who}, "params": {"env": who}}
    execution = api.get(f"/executions/{start(**body)}").json
    assert execution["input"] == {"who": who}
    assert execution["params"] == {"env": who}


def test_plain_strings_come_back_as_they_were_sent(api, start):
    text = "tab\t newline\n quote' \" % \\ 😀 ä ﷽"
    id_ = start(description=text, tags=[text])
    execution = api.get(f"/executions/{id_}").json
    assert (execution["description"], execution["tags"]) == (text, [text])
    (found,) = api.get("/executions", {"tag": text}).json["executions"]
    assert found["id"] == id_


def test_pages_follow_each_other_without_gap_or_repetition(api, start):
    ids = [start() for _ in range(5)]
    for sort, expected in (("asc", ids), ("desc", ids[::-1])):
        found, url = [], f"/executions?limit=2&sort=created_at:{sort}"
        while url:
            page = api.get(url).json
            found += [execution["id"] for execution in page["executions"]]
            url = next((link["href"] for link in page["links"]), None)
        assert found == expected


def test_a_list_shows_what_the_query_asks_for(api, start):
    one = start(tags=["x", "y"])
    two = start({"version": "2.0", "other": {"tasks": {"a": {"action": "std.noop"}}}}, tags=["y"])
    created = api.get(f"/executions/{two}").json["created_at"]

    def ids(query: str) -> set[str]:
        return {execution["id"] for execution in api.get("/executions?" + query).json["executions"]}

    assert ids("tag=y") == {one, two}
    assert ids("tag=x") == ids("workflow=diamond") == ids("state=RUNNING") == ids(f"created_at=lt:{created}") == {one}
    assert ids("state=SUCCESS") == ids("workflow=other") == ids(f"created_at=gte:{created}") == {two}
    assert ids(f"created_at={created}") == ids(f"created_at=neq:{created}&tag=y&workflow=other") | {two} == {two}
    assert ids("state=RUNNING,SUCCESS") == ids("state=RUNNING&state=SUCCESS") == {one, two}
    assert ids(f"marker={NEVER}") == ids("tag=z") == set()


def test_suspend_resume_and_cancel_can_each_be_repeated(api, start):
    url = f"/executions/{start()}"
    for _ in range(2):
        assert api.put_json(url, {"state": "SUSPENDED"}).json["state"] == "SUSPENDING"
    for _ in range(2):
        assert api.put_json(url, {"state": "RUNNING"}).json["state"] == "RUNNING"
    for _ in range(2):
        assert api.put_json(url, {"state": "CANCELLED"}).json["state"] == "CANCELLED"
    for state in ("RUNNING", "SUSPENDED"):
        assert api.put_json(url, {"state": state}, status=409).json["code"] == "execution.finished"


def test_a_final_execution_can_still_be_relabelled(api, start):
    url = f"/executions/{start()}"
    api.put_json(url, {"state": "CANCELLED"})
    changed = api.put_json(url, {"description": "new", "tags": ["n"]}).json
    assert (changed["description"], changed["tags"], changed["state"]) == ("new", ["n"], "CANCELLED")
    assert api.get(url).json == changed


def test_a_refused_change_of_state_changes_no_label_either(api, start):
    url = f"/executions/{start(description='old')}"
    api.put_json(url, {"state": "CANCELLED"})
    api.put_json(url, {"state": "RUNNING", "description": "new"}, status=409)
    assert api.get(url).json["description"] == "old"


def test_a_delete_is_for_what_is_final_or_by_force(api, start):
    first, second = f"/executions/{start()}", f"/executions/{start()}"
    assert api.delete(first, status=409).json["code"] == "execution.not_finished"
    api.delete(first + "?force=true", status=204)
    api.put_json(second, {"state": "CANCELLED"})
    api.delete(second, status=204)
    for url in (first, second):
        api.get(url, status=404)
        api.get(url + "/tasks", status=404)
        api.delete(url, status=404)


@pytest.mark.parametrize("path", ["", "/tasks", "/tasks/split"])
def test_an_execution_that_is_not_there_is_404_everywhere(api, path):
    assert api.get(f"/executions/{NEVER}{path}", status=404).json["code"] == "execution.not_found"
    for url, body in (("", {"state": "RUNNING"}), ("/tasks/split", {"state": "SUCCESS"}), ("/tasks", {"tasks": []})):
        answer = api.put_json(f"/executions/{NEVER}{url}", body, status=404)
        assert answer.json["code"] == "execution.not_found"


def test_the_service_tells_that_it_is_ready(api):
    assert api.get("/readyz").json == {"status": "ready"}


def test_a_service_without_a_schema_is_not_ready(tmp_path):
    from lazyengine.db.database import Database
    from lazyengine.engine import Engine

    settings = Settings(database_url=f"sqlite:///{tmp_path / 'empty.db'}")
    database = Database(settings)
    answer = TestApp(make_app(Engine(database, settings), settings)).get("/readyz", status=503)
    database.dispose()
    assert answer.json["code"] == "database.schema_not_ready"
    assert answer.headers["Retry-After"]
