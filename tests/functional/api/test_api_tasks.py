"""Tasks over HTTP: driven to the end one by one or many at once, with everything a worker may do wrong."""

from urllib.parse import quote

import pytest

SUCCESS = {"state": "SUCCESS"}


def states(api, id_):
    return {task["name"]: task["state"] for task in api.get(f"/executions/{id_}/tasks").json["tasks"]}


def test_a_diamond_runs_to_its_end(api, start):
    id_ = start()
    assert states(api, id_) == {"split": "RUNNING", "left": "PENDING", "right": "PENDING", "merge": "PENDING"}
    url = f"/executions/{id_}/tasks/"
    answer = api.put_json(url + "split", {"state": "SUCCESS", "result": {"x": 1}}).json
    assert [one["task"] for one in answer["scheduled"]] == ["left", "right"]
    assert answer["task"]["result"] == {"x": 1}
    assert answer["task"] == api.get(url + "split").json
    assert api.put_json(url + "left", SUCCESS).json["scheduled"] == []
    assert [one["task"] for one in api.put_json(url + "right", SUCCESS).json["scheduled"]] == ["merge"]
    answer = api.put_json(url + "merge", SUCCESS).json
    assert answer["execution"] == {"id": id_, "state": "SUCCESS", "output": {}}
    execution = api.get(f"/executions/{id_}?wait_seconds=30").json
    assert (execution["state"], execution["output"]) == ("SUCCESS", {})
    assert execution["finished_at"]


def test_a_failure_keeps_its_reason_and_ends_the_execution(api, start):
    id_ = start()
    failure = {"type": "Disk\nFull", "message": "no 😀 space", "details": {"\0": "\ud800"}}
    answer = api.put_json(f"/executions/{id_}/tasks/split", {"state": "FAILURE", "failure": failure, "result": 7}).json
    assert (answer["task"]["failure"], answer["task"]["result"]) == (failure, 7)
    assert answer["execution"]["state"] == "FAILURE"
    assert api.get(f"/executions/{id_}/tasks/split").json == answer["task"]


def test_the_same_report_is_answered_again_and_another_one_refused(api, start):
    url = f"/executions/{start()}/tasks/split"
    report = {"state": "SUCCESS", "result": {"a": [1.5, "\ud800", None]}}
    first = api.put_json(url, report).json
    again = api.put_json(url, report).json
    assert again == {**first, "replayed": True}
    for other in ({"state": "SUCCESS", "result": 1}, {"state": "FAILURE"}, {"state": "CANCELLED"}):
        assert api.put_json(url, other, status=409).json["code"] == "task.already_completed"


def test_a_report_for_another_attempt_is_stale(api, start):
    url = f"/executions/{start()}/tasks/split"
    answer = api.put_json(url, {**SUCCESS, "attempt": 2}, status=409).json
    assert answer["code"] == "task.stale_attempt"
    assert "attempt 1" in answer["detail"]
    api.put_json(url, {**SUCCESS, "attempt": 1})


def test_a_task_that_is_not_ready_cannot_be_reported_on(api, start):
    url = f"/executions/{start()}/tasks/merge"
    for report in (SUCCESS, {"state": "RUNNING"}):
        assert api.put_json(url, report, status=409).json["code"] == "task.not_running"


def test_a_task_that_is_not_there_is_404(api, start):
    url = f"/executions/{start()}/tasks/"
    for path in ("nothing", "split?iteration=2", "index", "split.json"):
        assert api.get(url + path, status=404).json["code"] == "task.not_found"
        for report in (SUCCESS, {"state": "RUNNING"}):
            assert api.put_json(url + path, report, status=404).json["code"] == "task.not_found"


def test_a_report_after_the_end_is_refused_and_a_heartbeat_told_to_stop(api, start):
    id_ = start()
    url = f"/executions/{id_}/tasks/split"
    assert api.put_json(url, {"state": "RUNNING"}).json["cancel_requested"] is False
    api.put_json(f"/executions/{id_}", {"state": "CANCELLED"})
    beat = api.put_json(url, {"state": "RUNNING"}).json
    assert (beat["cancel_requested"], beat["execution"]["state"]) == (True, "CANCELLED")
    assert api.put_json(url, SUCCESS, status=409).json["code"] == "execution.finished"


def test_what_ends_while_suspended_is_kept_and_goes_on_later(api, start):
    id_ = start()
    api.put_json(f"/executions/{id_}", {"state": "SUSPENDED"})
    answer = api.put_json(f"/executions/{id_}/tasks/split", SUCCESS).json
    assert (answer["scheduled"], answer["execution"]["state"]) == ([], "SUSPENDED")
    assert states(api, id_)["left"] == "PENDING"
    api.put_json(f"/executions/{id_}", {"state": "RUNNING"})
    assert states(api, id_)["left"] == "RUNNING"


def test_a_heartbeat_shows_progress_and_extends_the_lease(api, start):
    url = f"/executions/{start()}/tasks/split"
    api.post_json("/tasks/claim", {"worker": "w"})
    answer = api.put_json(url, {"state": "RUNNING", "progress": 0.25, "lease_seconds": 60}).json
    assert answer["task"]["progress"] == 0.25
    assert answer["task"]["lease_expires_at"]
    later = api.put_json(url, {"state": "RUNNING", "lease_seconds": 600}).json["task"]
    assert later["progress"] == 0.25
    assert later["lease_expires_at"] > answer["task"]["lease_expires_at"]


def test_many_reports_are_taken_in_order_and_a_refused_one_undoes_none(api, start):
    id_ = start()
    names = ["split", "merge", "left", "nothing", "left", "right", "merge"]
    body = {"tasks": [{"name": name, "state": "SUCCESS"} for name in names]}
    answer = api.put_json(f"/executions/{id_}/tasks", body).json
    assert [(e["name"], e["code"] or e["replayed"]) for e in answer["tasks"]] == [
        ("split", False),
        ("merge", "task.not_running"),
        ("left", False),
        ("nothing", "task.not_found"),
        ("left", True),
        ("right", False),
        ("merge", False),
    ]
    assert answer["execution"]["state"] == "SUCCESS"
    again = api.put_json(f"/executions/{id_}/tasks", body).json
    assert [e["replayed"] for e in again["tasks"] if e["status"] == 200] == [True] * 6


def test_no_reports_change_nothing(api, start):
    id_ = start()
    before = api.get(f"/executions/{id_}").json["generation"]
    assert api.put_json(f"/executions/{id_}/tasks", {"tasks": []}).json["tasks"] == []
    assert api.get(f"/executions/{id_}").json["generation"] == before


NAMES = ["a.json", "a b", "100%", "%41", "index", "_route", "delete", "ä😀", "?#;=&", "x" * 255]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:10])
def test_a_task_of_any_name_runs(api, start, name):
    id_ = start({"version": "2.0", "w": {"tasks": {name: {}}}})
    url = f"/executions/{id_}/tasks/{quote(name, safe='')}"
    assert api.get(url).json["name"] == name
    assert api.put_json(url, SUCCESS).json["execution"]["state"] == "SUCCESS"


def test_pages_of_tasks_follow_each_other(api, start):
    names = [f"t{i}" for i in range(7)]
    id_ = start({"version": "2.0", "w": {"tasks": {name: {} for name in names}}})
    api.put_json(f"/executions/{id_}/tasks/t3", SUCCESS)
    found, url = [], f"/executions/{id_}/tasks?limit=2&state=RUNNING"
    while url:
        page = api.get(url).json
        found += [task["name"] for task in page["tasks"]]
        url = next((link["href"] for link in page["links"]), None)
    assert found == ["t0", "t1", "t2", "t4", "t5", "t6"]
