"""Stored workflows over HTTP: stored, replaced, listed, started, deleted; definitions checked."""

import uuid
from urllib.parse import quote

import pytest
from checked_app import DIAMOND
from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.settings import Settings

PAIR = {
    "version": "2.0",
    "diamond": {"description": "no diamond", "tags": ["t"], "tasks": {"a": {"on-success": "b"}, "b": {}}},
}


def store(api, definition=DIAMOND, **more):
    return api.post_json("/workflows", {"definition": definition, **more}, status=201)


def test_a_definition_is_stored_and_shown(api):
    (stored,) = store(api).json["workflows"]
    assert (stored["name"], stored["namespace"], stored["revision"]) == ("diamond", "", 1)
    assert stored["input"] == [{"name": "who", "required": False, "default": "world"}]
    assert (stored["tags"], stored["description"]) == ([], "")
    assert api.get("/workflows/diamond").json == {**stored, "definition": DIAMOND}
    assert api.get("/workflows").json == {"workflows": [stored], "links": []}


def test_storing_says_where(api):
    assert api.get(store(api).headers["Location"]).json["workflows"]


def test_storing_again_is_a_repetition_and_another_definition_a_conflict(api):
    first = store(api).json
    assert api.post_json("/workflows", {"definition": DIAMOND}, status=200).json == first
    refused = api.post_json("/workflows", {"definition": PAIR}, status=409).json
    assert (refused["code"], "'diamond'" in refused["detail"]) == ("workflow.exists", True)
    assert api.get("/workflows/diamond").json["definition"] == DIAMOND


def test_replacing_keeps_the_revisions(api):
    for revision, definition in ((1, DIAMOND), (1, DIAMOND), (2, PAIR), (2, PAIR), (3, DIAMOND)):
        (stored,) = api.put_json("/workflows", {"definition": definition}).json["workflows"]
        assert stored["revision"] == revision
    assert api.get("/workflows/diamond?revision=2").json["definition"] == PAIR
    assert api.get("/workflows/diamond").json["revision"] == 3
    for revision in (4, 2**31 - 1):
        answer = api.get(f"/workflows/diamond?revision={revision}", status=404).json
        assert answer["code"] == "workflow.not_found"


def test_a_stored_workflow_is_started_by_its_name(api):
    store(api)
    body = {"workflow": "diamond", "input": {"who": "you"}, "id": str(uuid.uuid4())}
    execution = api.post_json("/executions", body, status=201).json
    assert [one["task"] for one in execution["scheduled"]] == ["split"]
    assert execution["definition_digest"] == api.get("/workflows/diamond").json["definition_digest"]
    api.put_json("/workflows", {"definition": PAIR})
    assert api.post_json("/executions", body, status=200).json["id"] == body["id"]
    newer = api.post_json("/executions", {"workflow": "diamond"}, status=201).json
    assert [one["task"] for one in newer["scheduled"]] == ["a"]
    api.delete("/workflows/diamond", status=204)
    assert api.post_json("/executions", body, status=200).json["id"] == body["id"]
    answer = api.post_json("/executions", {"workflow": "diamond"}, status=404).json
    assert answer["code"] == "workflow.not_found"
    for name in ("split", "left", "right", "merge"):
        api.put_json(f"/executions/{body['id']}/tasks/{name}", {"state": "SUCCESS"})
    assert api.get(f"/executions/{body['id']}").json["state"] == "SUCCESS"


def test_a_definition_that_comes_along_is_what_is_started(api):
    store(api)
    execution = api.post_json("/executions", {"workflow": "diamond", "definition": PAIR}, status=201).json
    assert [one["task"] for one in execution["scheduled"]] == ["a"]


def test_namespaces_are_apart(api):
    store(api)
    store(api, PAIR, namespace="n")
    names = [(one["namespace"], one["name"]) for one in api.get("/workflows").json["workflows"]]
    assert names == [("", "diamond"), ("n", "diamond")]
    assert api.get("/workflows/diamond?namespace=n").json["definition"] == PAIR
    assert len(api.get("/workflows?namespace=").json["workflows"]) == 1
    for namespace, first in (("n", "a"), ("m", "split"), ("", "split")):
        body = {"workflow": "diamond", "namespace": namespace}
        assert api.post_json("/executions", body, status=201).json["scheduled"][0]["task"] == first
    api.get("/workflows/diamond?namespace=m", status=404)
    api.delete("/workflows/diamond?namespace=m", status=404)
    api.delete("/workflows/diamond?namespace=n", status=204)
    assert [one["namespace"] for one in api.get("/workflows").json["workflows"]] == [""]


def test_workflows_are_listed_by_tag(api):
    store(api, {f"w{n}": {"tasks": {"a": None}, "tags": ["a b", "odd" if n % 2 else "even"]} for n in range(5)})
    found, url = [], "/workflows?tag=odd&limit=1"
    while url:
        page = api.get(url).json
        found += [one["name"] for one in page["workflows"]]
        url = next((link["href"] for link in page["links"]), None)
    assert found == ["w1", "w3"]
    assert len(api.get("/workflows?tag=a%20b").json["workflows"]) == 5
    assert api.get("/workflows?tag=", status=400).json["code"] == "request.invalid"


@pytest.mark.parametrize("name", ["validate", "a.json", "a b", "100%", "%41", "ä😀", "?#;=&", "x" * 255], ids=range(8))
def test_a_workflow_of_any_name_is_stored_and_deleted(api, name):
    store(api, {name: {"tasks": {"a": None}}}, namespace="a/b&c")
    url = f"/workflows/{quote(name, safe='')}?namespace=a%2Fb%26c"
    assert api.get(url).json["name"] == name
    api.delete(url, status=204)
    assert api.get(url, status=404).json["code"] == "workflow.not_found"


def test_pages_of_workflows_follow_each_other(api):
    store(api, {f"w{i} ä&": {"tasks": {"a": None}} for i in range(5)}, namespace="n/m")
    store(api)
    found, url = [], "/workflows?limit=2"
    while url:
        page = api.get(url).json
        found += [one["name"] for one in page["workflows"]]
        url = next((link["href"] for link in page["links"]), None)
    assert found == ["diamond", *(f"w{i} ä&" for i in range(5))]
    for marker in ("x", "", "/", "n%00/x"):
        assert api.get(f"/workflows?marker={marker}", status=400).json["code"] == "request.invalid"


def test_validation_tells_every_fault_and_stores_nothing(api):
    bad = "version: '2.0'\nw: {tasks: {a: {on-success: x, join: -1}, b: 7}}"
    answer = api.post_json("/workflows/validate", {"definition": bad}).json
    assert answer["valid"] is False
    assert [fault["path"] for fault in answer["faults"]] == ["/w/tasks/a/on-success", "/w/tasks/a/join", "/w/tasks/b"]
    assert all(fault["message"] for fault in answer["faults"])
    assert api.post_json("/workflows/validate", {"definition": "{"}).json["faults"][0]["path"] == ""
    assert api.post_json("/workflows/validate", {"definition": DIAMOND}).json == {"valid": True, "faults": []}
    assert api.get("/workflows").json["workflows"] == []


def test_a_definition_with_faults_is_not_stored(api):
    for send in (api.post_json, api.put_json):
        answer = send("/workflows", {"definition": {"w": {"tasks": {}}, "v": 7}}, status=400).json
        assert answer["code"] == "definition.invalid"
        assert [one["path"] for one in answer["errors"]] == ["/w/tasks", "/v"]
    assert api.get("/workflows").json["workflows"] == []


@pytest.mark.parametrize("body", [{}, {"namespace": "n"}, {"definition": DIAMOND, "workflow": "diamond"}], ids=str)
def test_what_is_no_definition_is_refused(api, body):
    for send, path in ((api.post_json, ""), (api.put_json, ""), (api.post_json, "/validate")):
        assert send(f"/workflows{path}", body, status=400).json["code"] == "request.invalid"


def test_owners_do_not_see_each_others_workflows(engine):
    api = TestApp(make_app(engine, Settings(auth_tokens="ann:a bob:b")))
    ann, bob = ({"Authorization": f"Bearer {token}"} for token in "ab")
    api.post_json("/workflows", {"definition": DIAMOND}, headers=ann, status=201)
    api.get("/workflows", status=401)
    assert api.get("/workflows", headers=bob).json["workflows"] == []
    api.get("/workflows/diamond", headers=bob, status=404)
    api.delete("/workflows/diamond", headers=bob, status=404)
    api.post_json("/executions", {"workflow": "diamond"}, headers=bob, status=404)
    api.post_json("/workflows", {"definition": PAIR}, headers=bob, status=201)
    assert api.get("/workflows/diamond", headers=ann).json["definition"] == DIAMOND
