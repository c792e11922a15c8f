"""The standard actions, and how actions are found.  `tests/oracle/actions` compares std.http with Mistral's."""

import importlib.metadata
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lazyengine.actions import ActionFailed, Context, Later, load
from lazyengine.actions.http import http, mistral_http
from lazyengine.errors import OutboundRefused, SettingsInvalid
from lazyengine.outbound import Outbound


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, as JSON; a path of a number is the status."""

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        said = {"path": self.path, "headers": dict(self.headers), "body": body}
        name = self.path.strip("/")
        status = int(name) if name.isdigit() else 200
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=nonsense" if name == "odd" else "application/json")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b[=2; c")
        self.end_headers()
        self.wfile.write(b"NaN" if name == "odd" else json.dumps(said).encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def context():
    assignment = {
        "execution_id": "e",
        "task": "a/ü",
        "iteration": 2,
        "item": None,
        "attempt": 3,
        "callback_url": "http://c",
    }
    return Context(assignment | {"input": {}}, Outbound(("127.0.0.0/8",)))


def test_a_request_and_its_answer(site, context):
    result = http(
        context, f"{site}/x?a=1", "POST", params={"b": [2, None], "c": None}, json={"k": 1}, cookies={"s": "t"},
        headers={"X": 1.5}, auth="me:pass:word", timeout=5, allow_redirects=True, verify=True,
    )  # fmt: skip
    said = result["content"]
    assert said["path"] == "/x?a=1&b=2"
    assert said["body"] == '{"k": 1}'
    sent = {name: said["headers"][name] for name in ("X", "Cookie", "Authorization", "Content-Type")}
    assert sent == {
        "X": "1.5",
        "Cookie": "s=t",
        "Authorization": "Basic bWU6cGFzczp3b3Jk",
        "Content-Type": "application/json",
    }
    assert result["cookies"]["a"] == "1"
    assert (result["status"], result["reason"], result["encoding"]) == (200, "OK", "utf-8")
    assert http(context, site, params="q=1")["content"]["path"] == "/?q=1"
    assert http(context, site, body=[1])["content"]["body"] == "[1]"


def test_what_is_no_json_is_text(site, context):
    """Not even NaN, which no report could hold; a character set that nobody knows is UTF-8."""
    assert http(context, f"{site}/odd")["content"] == "NaN"


@pytest.mark.parametrize("status", [307, 404, 500])
def test_a_bad_status_fails_with_the_answer(site, context, status):
    with pytest.raises(ActionFailed) as failed:
        http(context, f"{site}/{status}")
    assert (failed.value.type, failed.value.result["status"]) == ("http.status", status)


@pytest.mark.parametrize(
    "wrong", [{"body": "a", "json": {"b": 1}}, {"proxies": {"http": "http://p"}}, {"verify": "/ca.pem"}, {"auth": "me"}]
)
def test_what_is_not_done_is_refused(site, context, wrong):
    with pytest.raises(ActionFailed) as failed:
        http(context, site, **wrong)
    assert failed.value.type == "http.parameters"
    with pytest.raises(OutboundRefused):
        http(context, "http://[", params={"a": 1})


def test_mistral_http_tells_where_to_complete_the_task(site, context):
    """And leaves that to whoever is told; a request that failed is the failure of the task."""
    sent = []
    outbound = context.outbound
    context.outbound = Outbound(("127.0.0.0/8",))
    context.outbound.request = lambda *args, **kwargs: sent.append(args) or outbound.request(*args, **kwargs)
    assert isinstance(mistral_http(context, url=site, method="POST", headers={"X": "y"}), Later)
    headers = sent[0][3]
    assert headers["Mistral-Workflow-Execution-Id"] == "e"
    assert headers["Mistral-Task-Id"] == "e:a%2F%C3%BC:2"
    assert headers["Mistral-Action-Execution-Id"] == "e:a%2F%C3%BC:2:0:3"
    assert headers["Mistral-Callback-URL"] == "http://c"
    assert headers["X"] == "y"
    with pytest.raises(ActionFailed):
        mistral_http(context, url=f"{site}/500")


def test_small_ones():
    handlers = load(("std.sleep", "std.test_dict"))
    context = Context({"input": {"seconds": 60}}, Outbound())
    context.cancelled.set()
    assert handlers["std.sleep"](context) == {"state": "SUCCESS", "result": None}
    context = Context({"input": {"size": 2, "key_prefix": "k", "val": 1}}, Outbound())
    assert handlers["std.test_dict"](context)["result"] == {"k0": 1, "k1": 1}


def test_actions_of_packages_are_found_and_those_that_are_none_are_named(monkeypatch):
    points = [
        importlib.metadata.EntryPoint("my.dumps", "json:dumps", "lazyengine.actions"),
        importlib.metadata.EntryPoint("my.broken", "no_such_module:x", "lazyengine.actions"),
        importlib.metadata.EntryPoint("std.http", "json:dumps", "lazyengine.actions"),
    ]
    monkeypatch.setattr("lazyengine.actions.loading.entry_points", lambda group: points)
    assert load(("my.dumps",))["my.dumps"](Context({"input": {"obj": 1}}, Outbound()))["result"] == "1"
    with pytest.raises(SettingsInvalid, match=r"my\.broken"):
        load()
    with pytest.raises(SettingsInvalid, match=r"my\.other"):
        load(("my.other",))
    assert set(load(("std.http",))) == {"std.http"}
