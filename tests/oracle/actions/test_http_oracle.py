"""`std.http` sends what Mistral's sends and makes the same of the answers."""

import gzip
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lazyengine.actions import ActionFailed, Context
from lazyengine.actions.http import http
from lazyengine.errors import LazyEngineError
from lazyengine.outbound import Outbound
from tests.oracle.expressions.conftest import mistral_python  # noqa: F401

OF_THE_CLIENT = {"User-Agent", "Accept-Encoding", "Connection", "Host"}
"""Headers in which the two libraries may differ."""
MAY_DIFFER = {"elapsed", "history"}
"""History: Mistral has objects of requests in it, which are no JSON."""

# what a path answers with: status, headers, body
PAGES = {
    "/json": (200, [("Content-Type", "application/json")], b'{"a": [1, 2.5, null, "\xc3\xbc"]}'),
    "/json-of-latin-1": (200, [("Content-Type", "application/json; charset=ISO-8859-1")], b'{"a": "\xfc"}'),
    "/json-as-text": (200, [("Content-Type", "text/plain")], b'{"a": "\xc3\xbc"}'),
    "/json-of-utf-16": (200, [], '{"a": "ü"}'.encode("utf-16")),
    "/number": (200, [("Content-Type", "text/plain")], b"12"),
    "/text": (200, [("Content-Type", "text/plain; charset=utf-8")], "grün".encode()),
    "/text-of-latin-1": (200, [("Content-Type", "text/html")], b"gr\xfcn"),
    "/text-of-quoted": (200, [("Content-Type", 'text/html; charset="utf-8"')], "grün".encode()),
    "/broken-json": (200, [("Content-Type", "application/json")], b'{"a": '),
    "/nothing-said": (200, [], b"just text"),
    "/empty": (204, [], b""),
    "/no-body": (200, [("Content-Type", "application/json")], b""),
    "/packed": (200, [("Content-Type", "application/json"), ("Content-Encoding", "gzip")], gzip.compress(b'{"a": 1}')),
    "/cookies": (200, [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=two; HttpOnly")], b"ok"),
    "/twice": (200, [("X-Same", "1"), ("X-Same", "2")], b"ok"),
    "/redirect": (302, [("Location", "/json")], b""),
    "/moved": (307, [("Location", "/json")], b""),
    **{
        f"/status/{code}": (code, [], b'{"said": true}')
        for code in (200, 201, 202, 206, 300, 304, 306, 400, 404, 500, 503)
    },
}


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = sorted((name, value) for name, value in self.headers.items() if name not in OF_THE_CLIENT)
        self.server.asked.append([self.command, self.path, headers, body.decode()])
        status, headers, body = PAGES.get(self.path.partition("?")[0], (200, [], b"ok"))
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = answer  # noqa: N815

    def log_message(self, *_):
        pass


CASES = [
    *({"url": path} for path in PAGES),
    {"url": "/json", "allow_redirects": False},
    {"url": "/redirect", "allow_redirects": True},
    {"url": "/redirect", "allow_redirects": True, "method": "POST", "body": "x"},
    {"url": "/moved", "allow_redirects": True, "method": "POST", "body": "x"},
    *({"url": "/x", "method": method} for method in ("get", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")),
    {"url": ""},
    {"url": "?a=1"},
    {"url": "/a b/ü/%20?q=ü&r=a b#part"},
    {"url": "/x?a=1", "params": {"b": "2 3", "c": ["x", "y"], "d": None, "e": 5, "f": "ü&="}},
    {"url": "/x", "params": "b=2&c=3"},
    {"url": "/x", "params": {}},
    {"url": "/x", "method": "POST", "body": "plain ü".replace("ü", "u")},
    {"url": "/x", "method": "POST", "body": {"a": [1, None, "ü"]}},
    {"url": "/x", "method": "POST", "body": {}},
    {"url": "/x", "method": "POST", "json": {"a": [1, None, "ü"]}},
    {"url": "/x", "method": "POST", "json": []},
    {"url": "/x", "method": "POST", "json": {"a": 1}, "headers": {"Content-Type": "application/merge+json"}},
    {"url": "/x", "method": "POST", "json": {"a": 1}, "body": "b"},
    {"url": "/x", "headers": {"X-Number": 5, "X-Float": 2.5, "X-Text": "t", "X-None": None, "Accept": "text/html"}},
    {"url": "/x", "cookies": {"a": "1", "b": "two"}},
    {"url": "/x", "auth": "user:pass"},
    {"url": "/x", "timeout": 5},
    {"url": "/x", "verify": False},
]
CLOSED = {"url": "http://127.0.0.1:9/"}
IMPOSSIBLE = [CLOSED, {"url": "ftp://127.0.0.1/"}, {"url": "nothing"}, {"url": "http://"}, {"url": "/x", "auth": "a"}]


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked, server.daemon_threads = [], True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ours(case):
    context = Context({"input": case}, Outbound(("127.0.0.0/8",)))
    try:
        return {"kind": "success", "result": http(context, **case)}
    except ActionFailed as failed:
        return {"kind": "failure", "result": failed.result} if failed.result else {"kind": "exception"}
    except LazyEngineError:
        return {"kind": "exception"}


def told(outcome):
    result = outcome.get("result")
    kept = result and {name: value for name, value in result.items() if name not in MAY_DIFFER}
    return {"kind": outcome["kind"], "result": kept}


def test_both_send_and_find_the_same(site, mistral_python):  # noqa: F811
    """For each case: what arrived at the site, how the task ends, and its result."""
    root = f"http://127.0.0.1:{site.server_port}"
    cases = [case | {"url": root + case["url"]} for case in CASES]
    cases += [case | {"url": case["url"].replace("/x", root + "/x", 1)} for case in IMPOSSIBLE]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    driver = Path(__file__).with_name("mistral_http.py")
    run = subprocess.run(
        [mistral_python, "-W", "ignore", driver], input=json.dumps(cases), env=environ, capture_output=True, text=True
    )
    assert not run.returncode, run.stderr[-3000:]
    theirs = json.loads(run.stdout.splitlines()[-1])
    asked_by_them = site.asked[:]
    site.asked.clear()
    mine = [ours(case) for case in json.loads(json.dumps(cases))]
    differ = [(case, told(a), told(b)) for case, a, b in zip(cases, theirs, mine, strict=True) if told(a) != told(b)]
    assert not differ
    assert [one for one in asked_by_them if one not in site.asked] == []
    assert site.asked == asked_by_them
    assert len({outcome["kind"] for outcome in mine}) == 3
