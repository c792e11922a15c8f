"""Strict reading: what is refused, with which words, and that nothing reaches the engine then."""

import json
import time
from datetime import UTC, datetime

import pytest

from lazyengine.api.reading import MAX_DEPTH, read_object
from lazyengine.core.state import ExecutionState, Failure, Outcome, TaskState
from lazyengine.errors import RequestInvalid
from lazyengine.records import Claim, ExecutionQuery, Heartbeat, Report, TaskQuery

ID = "6a0a707c-45ef-4758-b533-e55adddba8ce"
TASK = f"/executions/{ID}/tasks/build"

BAD_JSON = {
    b"": "not JSON",
    b"{": "line 1, column 2",
    b"[]": "has to be a JSON object",
    b"null": "has to be a JSON object",
    b'{"a": 1, "a": 2}': 'name "a" twice',
    b'{"a": {"b": [{"c": 1, "c": 1}]}}': 'name "c" twice',
    b'{"a": NaN}': "NaN is no JSON number",
    b'{"a": -Infinity}': "-Infinity is no JSON number",
    b'{"a": 1e400}': "1e400 is out of range",
    b'{"a": -1e400}': "-1e400 is out of range",
    b'{"a": ' + b"9" * 4301 + b"}": "4301 digits",
    b'{"a": "\xff"}': "not UTF-8: byte 7",
    b'{"a": "\xed\xa0\x80"}': "not UTF-8",
    b'{"a": "\n"}': "not JSON",
    b"{'a': 1}": "not JSON",
    b'{"a": 1} x': "not JSON",
    b'\xef\xbb\xbf{"a": 1}': "not JSON",
}


@pytest.mark.parametrize(("body", "words"), BAD_JSON.items(), ids=range(len(BAD_JSON)))
def test_what_is_not_strict_json_is_refused_with_the_reason(body, words):
    with pytest.raises(RequestInvalid) as caught:
        read_object(body)
    assert words in str(caught.value)


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return b'{"a":' + opening * (levels - 1) + b"0" + closing * (levels - 1) + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_is_bounded_however_deep_it_is_and_in_little_time(opening, closing):
    for levels in (MAX_DEPTH * 2, 900, 5_000, 100_000):
        began = time.perf_counter()
        with pytest.raises(RequestInvalid, match="nested deeper than 64"):
            read_object(nested(levels, opening, closing))
        assert time.perf_counter() - began < 1


def test_the_deepest_nesting_that_is_allowed_is_read():
    assert read_object(nested(MAX_DEPTH))
    with pytest.raises(RequestInvalid):
        read_object(nested(MAX_DEPTH + 1))


def test_brackets_do_not_count_as_depth_side_by_side_or_in_strings():
    assert read_object(json.dumps({"a": [[]] * 1000, "b": "[" * 1000}).encode())


BAD_STARTS = [
    ({}, "has to have the member 'definition' or 'workflow'"),
    ({"input": {}, "namespace": "n"}, "has to have the member 'definition' or 'workflow'"),
    ({"definition": "x", "workflow": "w", "namespace": ""}, "'/namespace' is for a stored workflow"),
    ({"workflow": "w", "namespace": "a\nb"}, "'/namespace' has to be a string"),
    ({"definition": 1}, "'/definition' has to be a string"),
    ({"definition": "x\0"}, "'/definition' has to be a string"),
    ({"definition": "\ud800"}, "'/definition' has to be a string"),
    ({"definition": "x", "id": "1"}, "'/id' has to be a UUID"),
    ({"definition": "x", "id": None}, "'/id' has to be a UUID"),
    ({"definition": "x", "input": []}, "'/input' has to be an object"),
    ({"definition": "x", "input": None}, "'/input' has to be an object"),
    ({"definition": "x", "description": "x" * 4097}, "'/description' has to be a string of 0 to 4096 characters"),
    ({"definition": "x", "tags": "t"}, "'/tags' has to be a list"),
    ({"definition": "x", "tags": ["t", 1]}, "'/tags/1' has to be a string"),
    ({"definition": "x", "tags": [""]}, "'/tags/0' has to be a string"),
    ({"definition": "x", "tags": ["t"] * 65}, "'/tags' has to be a list of at most 64"),
    ({"definition": "x", "tags": ["a\0b"]}, "'/tags/0' has to be a string"),
    ({"definition": "x", "Tags": []}, "'/Tags' is unknown; allowed are definition, workflow, namespace, input"),
    ({"definition": "x", "a/~b": 1}, "'/a~1~0b' is unknown"),
    ({"definition": "x", "notify": [{}]}, "'/notify/0' has to have the member 'url'"),
    ({"definition": "x", "params": {"read_only": 1}}, "'/params/read_only' has to be true or false"),
    ({"definition": "x", "params": {"start_after_seconds": -1}}, "'/params/start_after_seconds' has to be a number"),
    ({"definition": "x", "params": {"start_after_seconds": "1"}}, "'/params/start_after_seconds' has to be a number"),
    (
        {"definition": "x", "params": {"other": 1}},
        "'/params/other' is unknown; allowed are env, evaluate_env, task_name, default_action",
    ),
    ({"definition": "x", "params": {"env": 1}}, "'/params/env' has to be an object"),
]


@pytest.mark.parametrize(("body", "words"), BAD_STARTS, ids=[str(words) for _, words in BAD_STARTS])
def test_a_start_that_is_not_of_its_type_is_refused_and_the_member_named(api, asked, body, words):
    answer = api.post_json("/executions", body, status=400).json
    assert answer["code"] == "request.invalid"
    assert words in answer["detail"]
    assert asked.calls == []


BAD_REPORTS = [
    {},
    {"state": None},
    {"state": "success"},
    {"state": "PENDING"},
    {"state": ["SUCCESS"]},
    {"state": "SUCCESS", "failure": {"type": "t", "message": "m"}},
    {"state": "SUCCESS", "progress": 1},
    {"state": "SUCCESS", "attempt": 0},
    {"state": "SUCCESS", "attempt": "1"},
    {"state": "SUCCESS", "attempt": 1.5},
    {"state": "SUCCESS", "attempt": True},
    {"state": "SUCCESS", "attempt": 2**31},
    {"state": "SUCCESS", "attempt": None},
    {"state": "SUCCESS", "name": "build"},
    {"state": "FAILURE", "failure": None},
    {"state": "FAILURE", "failure": {"type": "t"}},
    {"state": "FAILURE", "failure": {"type": "t" * 256, "message": "m"}},
    {"state": "FAILURE", "failure": {"type": "t", "message": "m\0"}},
    {"state": "FAILURE", "failure": {"type": "t", "message": "m" * 65_537}},
    {"state": "FAILURE", "failure": {"type": "t", "message": "m", "detail": 1}},
    {"state": "CANCELLED", "result": 1},
    {"state": "RUNNING", "result": 1},
    {"state": "RUNNING", "progress": 1.01},
    {"state": "RUNNING", "progress": -1},
    {"state": "RUNNING", "progress": True},
    {"state": "RUNNING", "progress": "0.5"},
    {"state": "RUNNING", "progress": 10**4000},
    {"state": "RUNNING", "lease_seconds": 0},
    {"state": "RUNNING", "lease_seconds": 86_401},
]


@pytest.mark.parametrize("body", BAD_REPORTS, ids=lambda body: str(body)[:60])
def test_a_report_that_fits_no_state_is_refused(api, asked, body):
    assert api.put_json(TASK, body, status=400).json["code"] == "request.invalid"
    assert asked.calls == []


GOOD_REPORTS = [
    ({"state": "SUCCESS"}, Report("build", Outcome(TaskState.SUCCESS))),
    ({"state": "SUCCESS", "result": None}, Report("build", Outcome(TaskState.SUCCESS))),
    (
        {"state": "SUCCESS", "result": {"\0": "\ud800"}, "attempt": 3},
        Report("build", Outcome(TaskState.SUCCESS, {"\0": "\ud800"}), attempt=3),
    ),
    (
        {"state": "FAILURE"},
        Report("build", Outcome(TaskState.FAILURE, None, Failure("error", "The worker gave no reason."))),
    ),
    (
        {"state": "FAILURE", "failure": {"type": "t", "message": "", "details": "\0"}, "result": 1},
        Report("build", Outcome(TaskState.FAILURE, 1, Failure("t", "", "\0"))),
    ),
    ({"state": "SUCCESS", "attempt": 1.0}, Report("build", Outcome(TaskState.SUCCESS), attempt=1)),
    ({"state": "CANCELLED"}, Report("build", Outcome(TaskState.CANCELLED))),
    ({"state": "RUNNING"}, Heartbeat("build")),
    ({"state": "RUNNING", "progress": 1, "lease_seconds": 0.5}, Heartbeat("build", None, None, 1.0, 0.5)),
]


@pytest.mark.parametrize(("body", "record"), GOOD_REPORTS, ids=lambda value: str(value)[:60])
def test_a_report_reaches_the_engine_as_what_it_says(api, asked, body, record):
    api.put_json(TASK, body, status=200)
    assert asked.last == record


def test_a_report_is_for_the_iteration_that_the_query_names(api, asked):
    api.put_json(TASK + "?iteration=4", {"state": "SUCCESS"})
    assert asked.last.iteration == 4


def test_a_batch_is_read_entry_by_entry(api, asked):
    entries = [{"name": "a", "state": "SUCCESS", "result": 1}, {"name": "b", "state": "CANCELLED", "iteration": 2}]
    api.put_json(f"/executions/{ID}/tasks", {"tasks": entries})
    assert asked.last == (
        Report("a", Outcome(TaskState.SUCCESS, 1)),
        Report("b", Outcome(TaskState.CANCELLED), iteration=2),
    )


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([{"name": "a", "state": "RUNNING"}], "'/tasks/0/state' has to be one of SUCCESS, FAILURE, CANCELLED"),
        ([{"state": "SUCCESS"}], "'/tasks/0' has to have the member 'name'"),
        ([{"name": "a", "state": "SUCCESS"}, {"name": "b"}], "'/tasks/1/state'"),
        ([{"name": "a", "state": "SUCCESS"}, 1], "'/tasks/1' has to be an object"),
        ([{"name": "a", "state": "SUCCESS"}] * 1001, "at most 1000 entries"),
        ({"name": "a"}, "'/tasks' has to be a list"),
    ],
)
def test_a_batch_with_an_entry_that_is_no_report_is_refused_whole(api, asked, tasks, words):
    assert words in api.put_json(f"/executions/{ID}/tasks", {"tasks": tasks}, status=400).json["detail"]
    assert asked.calls == []


def test_a_claim_has_defaults_and_keeps_what_it_is_given(api, asked):
    api.post_json("/tasks/claim", {"worker": "w"})
    assert asked.last == Claim("w")
    body = {"worker": "w", "targets": ["x"], "actions": ["a"], "limit": 1000, "lease_seconds": 1, "claim_key": "k"}
    api.post_json("/tasks/claim", body)
    assert asked.last == Claim("w", ("x",), ("a",), 1000, 1.0, "k")


@pytest.mark.parametrize(
    "wrong",
    [{"worker": ""}, {"worker": "w" * 256}, {"limit": 0}, {"limit": 1001}, {"wait_seconds": 61}, {"actions": None}],
    ids=str,
)
def test_a_claim_out_of_bounds_is_refused(api, asked, wrong):
    api.post_json("/tasks/claim", {"worker": "w", **wrong}, status=400)
    assert asked.calls == []


def test_a_change_says_only_what_it_names(api, asked):
    api.put_json(f"/executions/{ID}", {"state": "CANCELLED"})
    assert asked.calls[-1][2] == {"state": ExecutionState.CANCELLED, "description": None, "tags": None}
    api.put_json(f"/executions/{ID}", {"description": "", "tags": []})
    assert asked.calls[-1][2] == {"state": None, "description": "", "tags": ()}


@pytest.mark.parametrize("body", [{}, {"state": "SUCCESS"}, {"state": None}, {"tags": None}], ids=str)
def test_a_change_of_nothing_or_to_no_such_state_is_refused(api, asked, body):
    api.put_json(f"/executions/{ID}", body, status=400)
    assert asked.calls == []


def test_the_query_of_a_list_reaches_the_engine(api, asked):
    api.get(
        "/executions?state=RUNNING,SUCCESS&state=FAILURE&workflow=w&tag=%C3%A9&limit=5000&sort=created_at:asc"
        f"&created_at=gt:2026-01-02T03:04:05Z&created_at=2026-01-02T03:04:05.5Z&marker={ID.upper()}&fields=input"
    )
    second = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert asked.last == ExecutionQuery(
        states=(ExecutionState.RUNNING, ExecutionState.SUCCESS, ExecutionState.FAILURE),
        workflow="w",
        tag="é",
        created=(("gt", second), ("eq", second.replace(microsecond=500_000))),
        descending=False,
        limit=1000,
        marker=ID,
        values=True,
    )
    api.get(f"/executions/{ID}/tasks?state=PENDING&marker=7.2&limit=3")
    assert asked.last == TaskQuery((TaskState.PENDING,), 3, (7, 2))


BAD_QUERIES = {
    "/executions?color=red": "Unknown query parameter 'color'; allowed are: state, workflow",
    "/executions?limit=1&limit=2": "'limit' is given more than once",
    "/executions?limit=0": "'limit' has to be an integer of at least 1",
    "/executions?limit=1.0": "'limit' has to be an integer",
    "/executions?limit=%D9%A1": "'limit' has to be an integer",
    "/executions?limit=" + "9" * 5000: "'limit' has to be an integer",
    "/executions?limit=": "'limit' has to be an integer",
    "/executions?limit": "'limit' has to be an integer",
    "/executions?marker=x": "'marker' has to be a UUID",
    "/executions?state=DONE": "'state' has to be one of RUNNING",
    "/executions?state=": "'state' has to be one of RUNNING",
    "/executions?sort=id": "'sort' has to be one of created_at:desc, created_at:asc",
    "/executions?fields=tags": "'fields' has to be one of input, output",
    "/executions?tag=%00": "'tag' has to be a string",
    "/executions?tag=%ff": "percent-encoded UTF-8",
    "/executions?tag=%ED%A0%80": "percent-encoded UTF-8",
    "/executions?created_at=gt:yesterday": "'created_at' has to be gt:",
    "/executions?created_at=like:2026-01-02T03:04:05Z": "'created_at' has to be gt:",
    "/executions?created_at=0000-01-01T03:04:05Z": "'created_at' has to be gt:",
    "/executions?created_at=2026-02-30T03:04:05Z": "'created_at' has to be gt:",
    "/executions?created_at=2026-01-02T03:04:05": "'created_at' has to be gt:",
    "/executions?" + "&".join(["state=RUNNING"] * 101): "at most 100 parameters",
    f"/executions/{ID}?wait_seconds=61": "'wait_seconds' has to be a number from 0 to 60",
    f"/executions/{ID}?wait_seconds=nan": "'wait_seconds' has to be a number",
    f"/executions/{ID}?wait_seconds=1e999": "'wait_seconds' has to be a number",
    f"/executions/{ID}?_method=DELETE": "Unknown query parameter '_method'; allowed are: wait_seconds.",
    f"/executions/{ID}/tasks?marker=7": "'marker' has to be the marker",
    f"/executions/{ID}/tasks?marker=1.1234567890": "'marker' has to be the marker",
    f"{TASK}?iteration=0": "'iteration' has to be an integer of at least 1",
    f"{TASK}?iteration=2147483648": "'iteration' has to be an integer of at least 1",
    "/healthz?verbose": "Unknown query parameter 'verbose'; allowed are: none.",
}


@pytest.mark.parametrize(("url", "words"), BAD_QUERIES.items(), ids=[url[:50] for url in BAD_QUERIES])
def test_a_query_that_is_not_documented_is_refused_and_the_parameter_named(api, asked, url, words):
    answer = api.get(url, status=400).json
    assert answer["code"] == "request.invalid"
    assert words in answer["detail"]
    assert len(answer["detail"]) < 400
    assert asked.calls == []


@pytest.mark.parametrize("word", ["1", "True", "yes", ""])
def test_a_flag_is_true_or_false_in_these_words(api, asked, word):
    api.delete(f"/executions/{ID}?force={word}", status=400)
    api.delete(f"/executions/{ID}?force=true", status=204)
    assert asked.calls == [("delete_execution", ("", ID), {"force": True})]


def test_the_digest_of_a_start_is_that_of_what_was_meant_not_of_how_it_was_written(api, asked):
    digests = []
    for text in ('"definition": "x", "input": {"a": 1, "b": 2}', '"input":{"b":2,"a":1},"definition":"\\u0078"'):
        api.post("/executions", f'{{"id": "{ID}", {text}}}', content_type="application/json")
        digests.append(asked.last.digest)
    api.post_json("/executions", {"id": ID, "definition": "x", "input": {"a": 1, "b": 3}})
    assert digests[0] == digests[1] != asked.last.digest


def test_a_start_without_an_id_has_no_digest(api, asked):
    """Nobody can repeat it."""
    api.post_json("/executions", {"definition": "x"})
    assert asked.last.digest == ""


def test_a_start_hands_on_all_that_it_was_given(api, asked):
    body = {
        "definition": {"version": "2.0"},
        "workflow": "w",
        "input": {"\0": "\ud800"},
        "params": {"env": {"x": 1}, "evaluate_env": False, "default_action": ""},
        "id": ID.upper(),
        "description": "d",
        "tags": ["t"],
    }
    api.post_json("/executions", body)
    start = asked.last
    assert (start.definition, start.workflow, start.input) == ({"version": "2.0"}, "w", {"\0": "\ud800"})
    assert start.params == {"env": {"x": 1}, "evaluate_env": False, "default_action": ""}
    assert (start.id, start.description, start.tags, start.traceparent) == (ID, "d", ("t",), None)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("header", "handed_on"),
    [
        (TRACE, TRACE),
        ("cc" + TRACE[2:] + "-later", "cc" + TRACE[2:]),
        (TRACE + "-later", None),
        ("cc" + TRACE[2:] + "later", None),
        ("ff" + TRACE[2:], None),
        (TRACE.upper(), None),
        (TRACE[:-1], None),
        (TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), None),
        (TRACE.replace("b7ad6b7169203331", "0" * 16), None),
        ("", None),
        ("é", None),
    ],
)
def test_a_trace_context_is_handed_on_if_it_is_well_formed_and_else_as_if_there_were_none(
    api, asked, header, handed_on
):
    api.post_json("/executions", {"definition": "x"}, headers={"traceparent": header.encode().decode("latin-1")})
    assert asked.last.traceparent == handed_on
