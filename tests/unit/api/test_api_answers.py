"""What the answers look like: every documented member, times, surrogates, large members, links, statuses."""

import dataclasses
import json
from datetime import UTC

import pytest
from asked_engine import EXECUTION, ID, REPORTED, STATUS, TASK
from hypothesis import given
from hypothesis import strategies as st

from lazyengine.api import answers
from lazyengine.api.types import TIME
from lazyengine.errors import TaskAlreadyCompleted, TaskNotFound
from lazyengine.records import Page, Started


def names(document) -> set[str]:
    return {member.name for member in document.members()}


def test_a_started_execution_has_every_member_and_its_place(api):
    answer = api.post_json("/executions", {"definition": "x"}, status=201)
    assert answer.headers["Location"] == f"http://localhost/executions/{ID}"
    assert answer.json.keys() == names(answers.StartedExecution)
    assert answer.json["created_at"] == "2026-01-02T03:04:05.678901Z"
    assert answer.json["root_execution_id"] == ID
    (assignment,) = answer.json["scheduled"]
    assert assignment.keys() == names(answers.Assignment)


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_is_written_as_python_writes_it_in_utc(moment):
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:  # in the first or the last hours that there are
        return
    assert TIME.tobasetype(moment) == utc.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def test_a_start_that_was_answered_before_is_200(api, asked):
    asked.answers["start_execution"] = Started(EXECUTION, (), created=False)
    answer = api.post_json("/executions", {"definition": "x"}, status=200)
    assert answer.headers["Location"] == f"http://localhost/executions/{ID}"


def test_a_task_shows_what_free_json_it_holds_in_ascii(api):
    answer = api.get(f"/executions/{ID}/tasks/build")
    assert answer.json.keys() == names(answers.Task)
    assert answer.json["result"] == {"x": "\ud800\0"}
    assert answer.json["failure"] == {"type": "t", "message": "m", "details": [1]}
    assert answer.json["state_info"] == "why"
    assert answer.body.isascii()


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("", set()),
        ("?fields=input", {"input"}),
        ("?fields=output", {"output"}),
        ("?fields=input,output", {"input", "output"}),
        ("?fields=input&fields=output", {"input", "output"}),
    ],
)
def test_large_members_are_in_a_list_of_executions_only_if_asked_for(api, fields, shown):
    (execution,) = api.get("/executions" + fields).json["executions"]
    assert execution.keys() & {"input", "output"} == shown
    assert execution.keys() | {"input", "output"} == names(answers.Execution)


def test_a_list_of_tasks_never_has_input_and_result(api):
    (task,) = api.get(f"/executions/{ID}/tasks").json["tasks"]
    assert task.keys() == names(answers.TaskSummary) == names(answers.Task) - {"input", "result"}


def test_a_page_links_to_the_next_one_with_the_same_query(api, asked):
    assert api.get("/executions").json["links"] == []
    asked.answers["list_executions"] = Page((EXECUTION,), more=True)
    asked.answers["list_tasks"] = Page((TASK,), more=True)
    (link,) = api.get("/executions?tag=a%26b%2Cc&state=RUNNING,SUCCESS&marker=" + "0" * 8 + ID[8:]).json["links"]
    assert link["rel"] == "next"
    before = asked.last
    api.get(link["href"])
    assert asked.last == dataclasses.replace(before, marker=ID)
    (link,) = api.get(f"/executions/{ID}/tasks?limit=1").json["links"]
    api.get(link["href"])
    assert (asked.last.marker, asked.last.limit) == ((TASK.node, TASK.iteration), 1)


def test_a_batch_tells_of_each_report_as_it_would_have_been_answered_alone(api, asked):
    refused = TaskAlreadyCompleted(task="b", execution_id=ID, state="SUCCESS")
    asked.answers["complete_tasks"] = (STATUS, (REPORTED, refused, TaskNotFound.of(ID, "c")))
    body = {"tasks": [{"name": name, "state": "SUCCESS"} for name in "abc"]}
    answer = api.put_json(f"/executions/{ID}/tasks", body).json
    assert answer["execution"] == {"id": ID, "state": "RUNNING", "output": None}
    assert [(e["name"], e["status"], e["code"]) for e in answer["tasks"]] == [
        ("a", 200, None),
        ("b", 409, "task.already_completed"),
        ("c", 404, "task.not_found"),
    ]
    assert answer["tasks"][0]["task"]["name"] == "build"
    assert answer["tasks"][1]["task"] is None
    assert "finished as SUCCESS" in answer["tasks"][1]["detail"]


def test_a_deleted_execution_answers_nothing(api):
    answer = api.delete(f"/executions/{ID}", status=204)
    assert answer.body == b""
    assert "Content-Type" not in answer.headers


def test_the_version_document_leads_to_the_api(api):
    (version,) = api.get("/").json["versions"]
    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")
    links = {link["rel"]: link["href"] for link in version["links"]}
    assert api.get(links["describedby"]).json["openapi"] == "3.1.0"
    assert api.get(links["self"]).json["versions"] == [version]


def test_a_head_is_a_get_without_its_body(api):
    get, head = api.get(f"/executions/{ID}"), api.head(f"/executions/{ID}")
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(get.body))
    missing = api.head("/nowhere", status=404)
    assert missing.body == b""


def test_answers_are_compact_json_without_a_charset(api):
    answer = api.get("/healthz")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == json.dumps({"status": "ok"}, separators=(",", ":")).encode()
