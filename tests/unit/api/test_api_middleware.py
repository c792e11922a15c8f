"""What surrounds every request: its id, its line in the log, the limit on its body, who calls, and the errors."""

import io
import logging
import re
import uuid

import pytest
from asked_engine import ID
from webtest import TestApp

from lazyengine.api import problems
from lazyengine.api.app import make_app
from lazyengine.api.middleware import new_request_id
from lazyengine.errors import DatabaseBusy, DefinitionInvalid, Fault, SettingsInvalid
from lazyengine.settings import Settings

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_every_response_has_an_id_of_its_own_and_a_problem_repeats_it(api):
    ids = {api.get("/healthz").headers["X-Openstack-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(map(REQUEST_ID.fullmatch, ids))
    answer = api.get("/nowhere", status=404)
    assert answer.headers["X-Openstack-Request-Id"] == answer.json["request_id"]
    assert answer.json["errors"][0]["request_id"] == answer.json["request_id"]


def test_ids_of_requests_are_random_uuids():
    names = {new_request_id() for _ in range(1000)}
    assert len(names) == 1000
    for name in names:
        found = uuid.UUID(name.removeprefix("req-"))
        assert (found.version, found.variant, f"req-{found}") == (4, uuid.RFC_4122, name)
    assert len({name[23] for name in names}) == 4  # of the variant, two bits are free
    assert len({name[-1] for name in names}) == 16


def test_a_request_leaves_one_line_with_both_ids_and_no_secret(api, caplog):
    theirs = "req-" + ID
    with caplog.at_level(logging.INFO, "lazyengine.api"):
        api.get(
            f"/executions/{ID}/tasks/a%0Ab?iteration=1",
            headers={"X-Openstack-Request-Id": theirs, "Authorization": "Bearer secret"},
            status=404,
        )
    (line,) = caplog.messages
    assert re.fullmatch(rf"GET /executions/{ID}/tasks/a%0Ab 404 \d+\.\d ms {REQUEST_ID.pattern} {theirs} owner=-", line)


def test_an_id_of_another_form_is_not_logged(api, caplog):
    with caplog.at_level(logging.INFO, "lazyengine.api"):
        api.get("/healthz", headers={"X-Openstack-Request-Id": f"req-{ID}; forged"})
    assert "forged" not in caplog.text


# -- the body ---------------------------------------------------------------------------------------------------------


class Unreadable(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise AssertionError("nobody should read this")


def put(api, stream, **environ):
    environ = {"wsgi.input": stream, "CONTENT_TYPE": "application/json", "REQUEST_METHOD": "PUT", **environ}
    environ = {name: value for name, value in environ.items() if value is not None}
    plain = TestApp(api.app, lint=False)
    request = plain.RequestClass.blank(f"/executions/{ID}/tasks/build")
    request.environ.pop("CONTENT_LENGTH", None)
    request.environ.update(environ)
    return plain.do_request(request, status="*")


REPORT = b'{"state": "SUCCESS"}'


def test_a_body_that_declares_too_much_is_refused_unread(api, asked):
    answer = put(api, Unreadable(), CONTENT_LENGTH="100001")
    assert (answer.status_int, answer.json["code"]) == (413, "request.too_large")
    assert asked.calls == []


def test_a_body_in_chunks_is_read_no_further_than_the_limit(api, asked):
    stream = io.BytesIO(b" " * 1_000_000)
    answer = put(api, stream, **{"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})
    assert (answer.status_int, answer.json["code"]) == (413, "request.too_large")
    assert stream.tell() == 100_001
    assert asked.calls == []


def test_a_body_in_chunks_is_read_to_its_end(api, asked):
    answer = put(api, io.BytesIO(REPORT), **{"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})
    assert answer.status_int == 200
    assert len(asked.calls) == 1


def test_no_more_of_a_body_is_read_than_it_declares(api, asked):
    stream = io.BytesIO(REPORT + b"GET / HTTP/1.1")
    assert put(api, stream, CONTENT_LENGTH=str(len(REPORT))).status_int == 200
    assert stream.tell() == len(REPORT)


def test_a_body_that_ends_early_changes_nothing(api, asked):
    answer = put(api, io.BytesIO(REPORT), CONTENT_LENGTH=str(len(REPORT) + 1))
    assert answer.status_int == 400
    assert "20 of 21 bytes" in answer.json["detail"]
    assert asked.calls == []


def test_a_body_that_breaks_off_is_the_callers_fault(api, asked):
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("connection reset")

    answer = put(api, Broken(), CONTENT_LENGTH="20")
    assert (answer.status_int, answer.json["code"]) == (400, "request.invalid")
    assert "reset" not in answer.text


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "٣", "9" * 30])
def test_a_length_that_is_none_is_refused(api, length):
    assert put(api, Unreadable(), CONTENT_LENGTH=length).status_int == 400


def test_without_a_length_there_is_no_body(api):
    assert "not JSON" in put(api, Unreadable()).json["detail"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-yaml", "application/x-www-form-urlencoded",
     "application/json; charset=latin1",
     "application/problem+json"],
)  # fmt: skip
def test_a_body_of_another_type_is_415_and_not_read(api, asked, content_type):
    answer = put(api, Unreadable(), CONTENT_LENGTH="20", CONTENT_TYPE=content_type)
    assert (answer.status_int, answer.json["code"]) == (415, "request.unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "Application/JSON", 'application/json;charset="utf-8"']
)
def test_json_may_be_spelled_in_these_ways(api, content_type):
    assert put(api, io.BytesIO(REPORT), CONTENT_LENGTH="20", CONTENT_TYPE=content_type).status_int == 200


def test_a_body_where_none_has_a_meaning_is_refused(api, asked):
    api.request(f"/executions/{ID}", method="DELETE", body=b"{}", status=400)
    assert asked.calls == []


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*", 200),
        ("application/json;q=0.5, text/html", 200),
        ("text/html, */*;q=0.1", 200),
        ("Application/JSON ; charset=utf-8", 200),
        ("", 200),
        ("text/html", 406),
        ("application/xml", 406),
        ("application/problem+json", 406),
        ("application/json;q=0", 406),
        ("*/*, application/json;q=0.000", 406),
        ("text/html,application/xhtml+xml", 406),
    ],
)
def test_an_answer_is_json_or_406(api, accept, status):
    answer = api.get("/healthz", headers={"Accept": accept}, status=status)
    assert answer.headers["Content-Type"].endswith("json")


# -- who calls --------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(asked) -> TestApp:
    return TestApp(make_app(asked, Settings(auth_tokens="ann:secret bob:other")))


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer wrong", "Basic secret", "secret", "Bearer secret other"]
)
@pytest.mark.parametrize("path", ["/executions", f"/executions/{ID}", "/nowhere", "//", "/openapi.json/"])
def test_without_a_token_nothing_but_the_open_paths_is_told(guarded, asked, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = guarded.get(path, headers=headers, status=401)
    assert answer.json["code"] == "authentication.required"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert asked.calls == []


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/openapi.json"])
def test_these_paths_are_open(guarded, path):
    guarded.get(path, status=200)


def test_the_engine_learns_whose_token_it_is(guarded, asked, caplog):
    with caplog.at_level(logging.INFO, "lazyengine.api"):
        guarded.get(f"/executions/{ID}", headers={"Authorization": "bearer other"})
    assert asked.calls[0][1] == ("bob", ID)
    assert caplog.messages[0].endswith("owner=bob")
    assert "other" not in caplog.text.replace("another", "")


# -- errors -----------------------------------------------------------------------------------------------------------


def test_an_unexpected_error_is_logged_and_not_told(api, asked, caplog):
    asked.answers["get_execution"] = RuntimeError("SELECT secret FROM table")
    answer = api.get(f"/executions/{ID}", status=500)
    assert answer.json["code"] == "internal"
    assert "secret" not in answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "SELECT secret" in caplog.text
    assert answer.json["request_id"] in caplog.text


def test_a_type_error_of_the_engine_is_a_500_and_not_pecans_404(api, asked):
    asked.answers["get_execution"] = TypeError("missing 1 required positional argument")
    api.get(f"/executions/{ID}", status=500)


def test_a_problem_has_the_members_of_both_standards(api):
    answer = api.get("/nowhere", status=404).json
    (entry,) = answer.pop("errors")
    assert answer.pop("type") == "about:blank"
    assert entry == answer
    assert answer.keys() == {"title", "status", "code", "detail", "request_id"}
    assert (answer["title"], answer["status"]) == ("Not Found", 404)


def test_each_fault_of_a_definition_is_an_entry_with_its_place(api, asked):
    faults = [Fault(f"/w/tasks/{i}", f"fault {i}") for i in range(150)]
    asked.answers["start_execution"] = DefinitionInvalid(faults)
    answer = api.post_json("/executions", {"definition": "x"}, status=400).json
    assert answer["code"] == "definition.invalid"
    assert len(answer["errors"]) == problems.MAX_FAULTS
    assert answer["errors"][1]["path"] == "/w/tasks/1"
    assert answer["errors"][1]["detail"] == "fault 1"
    assert "149 more" in answer["detail"]


def test_the_place_of_a_wrong_member_is_told(api):
    answer = api.post_json("/executions", {"definition": "x", "tags": [1]}, status=400).json
    assert answer["errors"][0]["path"] == "/tags/0"


def test_a_busy_database_asks_to_come_again(api, asked):
    asked.answers["check_ready"] = DatabaseBusy()
    answer = api.get("/readyz", status=503)
    assert answer.json["code"] == "database.busy"
    assert answer.headers["Retry-After"] == "1"


def test_tokens_that_make_no_sense_stop_the_service(asked):
    with pytest.raises(SettingsInvalid):
        make_app(asked, Settings(auth_tokens="no-colon"))
