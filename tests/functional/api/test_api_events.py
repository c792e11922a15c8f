"""The history of an execution over HTTP: as pages, and as a stream that can be taken up again."""

import json
import threading
import time

import pytest

WIDE = {"version": "2.0", "w": {"tasks": {"a": {"on-success": "b"}, "b": {}}}}
STREAM = {"Accept": "text/event-stream"}


def finish(api, id_):
    for name in ("a", "b"):
        api.put_json(f"/executions/{id_}/tasks/{name}", {"state": "SUCCESS", "result": name})


def told(answer):
    """Return the events of a stream."""
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block.startswith("id: ")]
    events = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [f"id: {event['number']}" for event in events] == [number for number, _ in blocks]
    return events


def test_the_history_page_by_page(api, start):
    id_ = start(WIDE)
    finish(api, id_)
    api.put_json(f"/executions/{id_}/tasks/a", {"state": "FAILURE"}, status=409)
    path = f"/executions/{id_}/events"
    whole = api.get(path).json["events"]
    steps = [(event["kind"], event["task"], event["state"]) for event in whole]
    assert steps == [
        ("execution", None, "RUNNING"),
        ("task", "a", "RUNNING"),
        ("task", "a", "SUCCESS"),
        ("task", "b", "RUNNING"),
        ("task", "b", "SUCCESS"),
        ("execution", None, "SUCCESS"),
    ]
    assert [event["number"] for event in whole] == [1, 2, 3, 4, 5, 6]
    assert api.get(path + "?after=4").json["events"] == whole[4:]
    assert api.get(path + "?after=6").json == {"events": [], "links": []}
    pages, page = [], api.get(path + "?limit=4").json
    pages += page["events"]
    pages += api.get(page["links"][0]["href"]).json["events"]
    assert pages == whole


@pytest.mark.backends("sqlite")
def test_answers_that_came_too_late_are_told_of(api, start):
    id_ = start(WIDE)
    api.put_json(f"/executions/{id_}", {"state": "CANCELLED"})
    api.put_json(
        f"/executions/{id_}/tasks/a", {"state": "FAILURE", "failure": {"type": "t", "message": "oh"}}, status=409
    )
    last = api.get(f"/executions/{id_}/events").json["events"][-1]
    assert (last["kind"], last["task"], last["late"]["state"]) == ("late_result", "a", "FAILURE")
    assert last["late"]["failure"]["message"] == "oh"


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("query", ["?format=stream", ""])
def test_the_stream_of_what_is_over_ends_and_does_not_want_to_be_read_again(api, start, query):
    id_ = start(WIDE)
    finish(api, id_)
    path = f"/executions/{id_}/events{query}"
    answer = api.get(path, headers=STREAM)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert told(answer) == api.get(f"/executions/{id_}/events").json["events"]
    assert [event["number"] for event in told(api.get(path, headers={**STREAM, "Last-Event-ID": "4"}))] == [5, 6]
    api.get(path, headers={**STREAM, "Last-Event-ID": "6"}, status=204)


@pytest.mark.backends("sqlite")
def test_a_stream_goes_on_until_the_end(api, start):
    """Also where requests cannot be parked: it holds a thread."""
    id_ = start(WIDE)
    other = threading.Thread(target=lambda: (time.sleep(0.3), finish(api, id_)))
    other.start()
    assert [event["number"] for event in told(api.get(f"/executions/{id_}/events", headers=STREAM))] == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip
    other.join()


@pytest.mark.backends("sqlite")
def test_what_is_wrong_is_refused(api, start):
    id_ = start(WIDE)
    path = f"/executions/{id_}/events"
    api.get(path, headers={**STREAM, "Last-Event-ID": "x"}, status=400)
    api.get(path + "?after=-1", status=400)
    api.get(path + "?format=stream", headers={"Accept": "application/json"}, status=406)
    api.get(path + "?format=json", headers=STREAM, status=406)
    api.get(path, headers={"Accept": "text/html"}, status=406)
    api.get("/executions/00000000-0000-4000-8000-000000000000/events", headers=STREAM, status=404)
