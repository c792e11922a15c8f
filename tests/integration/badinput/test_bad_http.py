"""Requests that are hardly HTTP, and headers, paths and queries that mean nothing."""

import json
import socket
import time

import pytest

from tests.integration.badinput.attacker import PATIENCE_SECONDS, refused, works

GOOD = json.dumps({"definition": {"w": {"tasks": {"a": {}}}}}).encode()
NOWHERE = "/executions/00000000-0000-4000-8000-000000000000"
NO_REQUESTS = {
    "nothing": b"\r\n\r\n",
    "garbage": b"\x00\x01\x02\xff\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET / HTTP\r\nHost: x\r\n\r\n",
    "blank in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "header without colon": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "header with NUL": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x00\r\n\r\n",
    "header name with blanks": b"GET / HTTP/1.1\r\nHost: x\r\nX A: 1\r\n\r\n",
    "two lengths": b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length and chunks": (
        b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "negative length": b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length in words": b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n{}",
    "length with a plus": b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    "200 headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    "a header of 1 MiB": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 2**20 + b"\r\n\r\n",
    "a path of 1 MiB": b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a query of 5,000 characters": b"GET /executions?tag=" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}
PATHS = {
    "nowhere": ("/nowhere", "resource.not_found"),
    "double slash": ("//executions", "resource.not_found"),
    "slash behind": ("/executions/", "resource.not_found"),
    "dots": ("/executions/../healthz", "resource.not_found"),
    "dots encoded": ("/%2e%2e/%2e%2e/etc/passwd", "resource.not_found"),
    "NUL": ("/executions/%00", "execution.not_found"),
    "no UTF-8": ("/executions/%ff", "resource.not_found"),
    "half a percent": ("/executions/%", "execution.not_found"),
    "percent of nothing": ("/executions/%zz", "execution.not_found"),
    "lone surrogate": ("/executions/%ed%a0%80", "resource.not_found"),
    "template": ("/executions/{execution_id}", "execution.not_found"),
    "no UUID": ("/executions/1", "execution.not_found"),
    "UUID of another form": ("/executions/00000000000040008000000000000000", "execution.not_found"),
    "SQL": ("/executions/'%20OR%201=1--", "execution.not_found"),
    "Pecan's own": ("/_route", "resource.not_found"),
    "attribute": ("/__class__", "resource.not_found"),
    "extension": ("/executions.json", "resource.not_found"),
    "no such execution": (NOWHERE, "execution.not_found"),
    "no such execution's task": (f"{NOWHERE}/tasks/a", "execution.not_found"),
    "long name": (f"{NOWHERE}/tasks/{'a' * 300}", "task.not_found"),
    "name with a line feed": (f"{NOWHERE}/tasks/a%0Ab", "task.not_found"),
    "deep": ("/executions" + "/a" * 1_000, "resource.not_found"),
}
QUERIES = [
    "x=1", "limit=0", "limit=-1", "limit=1e3", "limit=1.0", "limit=%D9%A1", "limit=1_000", "limit=1&limit=2", "limit=",
    "limit=" + "9" * 41, "marker=1", "marker=%00", "state=DONE", "state=", "state=RUNNING,", "tag=", "tag=%00",
    "tag=" + "a" * 256, "sort=name", "fields=password", "workflow=%ed%a0%80", "created_at=today",
    "created_at=gt:2026-02-30T00:00:00Z", "created_at=2026-01-01T00:00:00%2B01:00", "created_at=gt:",
    "created_at=0000-01-01T00:00:00Z", "%ff=1", "limit=%ff", "&".join(["state=RUNNING"] * 101),
]  # fmt: skip


@pytest.mark.parametrize("request_bytes", NO_REQUESTS.values(), ids=NO_REQUESTS.keys())
def test_what_is_no_request(attacker, request_bytes):
    """It gets a 4xx (or 505) of the server, or the connection is closed; nobody hangs."""
    answer = attacker.raw(request_bytes)
    assert answer.status == 0 or 400 <= answer.status < 500 or answer.status == 505, answer
    assert answer.seconds < 10


@pytest.mark.parametrize(("path", "code"), PATHS.values(), ids=PATHS.keys())
def test_paths_that_lead_nowhere(attacker, path, code):
    """Each is a 404 that says what was not found, whatever stands in it."""
    refused(attacker.send("GET", path), 404, code)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_queries_that_mean_nothing(attacker, query):
    """A parameter that is unknown, twice there or of the wrong type is a 400, never ignored."""
    refused(attacker.send("GET", f"/executions?{query}"), 400, "request.invalid")


def test_a_huge_limit_is_clamped(attacker):
    """A limit beyond the largest page is no error, even of 40 digits."""
    works(attacker.send("GET", f"/executions?limit={'9' * 40}"), 200)


@pytest.mark.parametrize("number", ["1e400", "nan", "inf", "-1", "61", "1_0", "%D9%A3", "1e", "0x1", ""])
def test_waits_that_are_no_durations(attacker, number):
    """What is no number from 0 to 60 is refused before anybody waits."""
    execution = works(attacker.post(GOOD))["id"]
    answer = attacker.send("GET", f"/executions/{execution}?wait_seconds={number}")
    refused(answer, 400, "request.invalid", within_seconds=5)


@pytest.mark.parametrize("number", ["0", "-1", "2147483648", "9" * 30, "a", ""])
def test_iterations_that_are_none(attacker, number):
    """An iteration that no database could hold is refused."""
    execution = works(attacker.post(GOOD))["id"]
    refused(attacker.send("GET", f"/executions/{execution}/tasks/a?iteration={number}"), 400, "request.invalid")


@pytest.mark.parametrize("marker", ["0", "0.0.0", "a.b", "1.", "9999999999.1", "-1.1", "1.1%00"])
def test_markers_that_no_link_gave(attacker, marker):
    """A marker of the wrong form is refused; one of the right form that leads nowhere is an empty page."""
    execution = works(attacker.post(GOOD))["id"]
    refused(attacker.send("GET", f"/executions/{execution}/tasks?marker={marker}"), 400, "request.invalid")
    assert works(attacker.send("GET", f"/executions/{execution}/tasks?marker=999999999.999999999"), 200)["tasks"] == []


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "G" * 15, "DELETE", "PUT"])
def test_methods_that_a_path_does_not_have(attacker, method):
    """A method that is none of its path's is a 405 that tells those in `Allow`; the server may refuse it earlier."""
    answer = attacker.send(method, "/executions")
    assert answer.status in (400, 405, 501)
    if answer.status == 405 and answer.body:
        refused(answer, 405, "request.method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/yaml", "application/json; charset=utf-16", "application/jsonx", "*/*", "\xff", ";"],
)
def test_bodies_that_are_not_declared_as_json(attacker, media_type):
    """YAML or a form is not guessed at."""
    refused(attacker.send("POST", "/executions", GOOD, Content_Type=media_type), 415, "request.unsupported_media_type")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0.0", "text/*", "\xff", "json"])
def test_callers_that_do_not_want_json(attacker, accept):
    """There is nothing else to be had."""
    refused(attacker.send("GET", "/executions", Accept=accept), 406, "request.not_acceptable")


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": ",;q=,application/json"},
        {"Content_Type": 'application/json; charset="UTF-8"; x=";'},
        {"traceparent": "00-" + "z" * 32 + "-" + "1" * 16 + "-01"},
        {"traceparent": "\xff" * 55},
        {"X_Openstack_Request_Id": "req-\xff'; DROP TABLE executions"},
        {"Authorization": "Basic \xff\xff"},
        {"Cookie": "a=" + "b" * 4_000},
        {"Host": "evil.example:99999"},
        {"Host": "\xff"},
        {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "gopher"},
        {"Expect": "100-continue"},
        {"X_HTTP_Method_Override": "DELETE"},
        {"SCRIPT_NAME": "/x"},
        {"Connection": "keep-alive, upgrade", "Upgrade": "h2c"},
    ],
    ids=str,
)
def test_headers_that_mean_nothing_do_no_harm(attacker, headers):
    """The request is served as if they were not there, or refused by the server for its form."""
    answer = attacker.send("POST", "/executions", GOOD, **({"Connection": "close"} | headers))
    assert answer.status in (201, 400), answer
    assert answer.seconds < 10


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_bodies_that_nobody_asked_for(attacker, method):
    """A body where none has a meaning is refused, in chunks too."""
    execution = works(attacker.post(GOOD))["id"]
    refused(attacker.send(method, f"/executions/{execution}", b"{}"), 400, "request.invalid")
    head = f"{method} /executions/{execution} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused(attacker.raw(head.encode(), b"2\r\n{}\r\n0\r\n\r\n"), 400, "request.invalid")


def test_a_body_that_never_comes(attacker):
    """Whoever announces a body and sends half of it is given up after a while, and holds nobody's thread for ever."""
    head = b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    refused(attacker.raw(head, b'{"defin'), 400, "request.invalid", within_seconds=PATIENCE_SECONDS / 2)


def test_bodies_that_never_come_hold_up_nobody_else(attacker):
    """While some wait for the rest of their bodies, the bodies of others are read."""
    head = b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", attacker.port)) for _ in range(4)]
    try:
        for connection in slow:
            connection.sendall(head)
        time.sleep(0.5)
        for _ in range(20):
            works(attacker.post(GOOD), within_seconds=2)
    finally:
        for connection in slow:
            connection.close()


def test_two_requests_at_once(attacker):
    """What follows a refused request on the same connection is not taken for a part of it."""
    bad = b"POST /executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnope"
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    refused(attacker.raw(bad + good), 400, "request.invalid")
