"""What a worker says to the API, and what it makes of the answers: an API of this process stands in."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lazyengine.actions import ActionFailed, Context, Later, handler_of
from lazyengine.errors import SettingsInvalid, WorkerRefused
from lazyengine.outbound import Outbound
from lazyengine.supervisor import reachable
from lazyengine.worker import Api, Terms, Worker, work
from lazyengine.worker.client import NOTHING

ASSIGNMENT = {"execution_id": "e", "task": "a b", "iteration": 1, "item": None, "attempt": 3, "input": {}}


class SaidApi:
    """Hands out one task and keeps what is said; `answers` are the statuses of reports, the last for ever."""

    url = "http://api"

    def __init__(self, *answers, claims=(200,), cancels=False, item=None):
        self.answers, self.claims, self.cancels, self.item = list(answers) or [200], list(claims), cancels, item
        self.claimed, self.beats, self.reports, self.given = [], [], [], False

    def send(self, method, path, body, timeout_seconds=None):
        body = json.loads(body)
        if path == "/tasks/claim":
            self.claimed.append(body)
            if status := self.claims.pop(0) if self.claims else 200:
                fresh, self.given = not self.given and status == 200, self.given or status == 200
                time.sleep(0 if fresh else 0.01)
                task = ASSIGNMENT | {"action": "act", "item": self.item}
                return status, {"tasks": [task] if fresh else [], "detail": "no"}
            return NOTHING, {}
        if body["state"] == "RUNNING" and body["lease_seconds"] < 100:
            self.beats.append(body)
            return 200, {"cancel_requested": self.cancels}
        self.reports.append((path, body))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0], {"code": "c", "detail": "too large"}

    insist = Api.insist


def worked(api, action, **terms):
    """Let a worker do the one task there is, and return what it reported last."""
    worker = Worker(api, {"act": handler_of(action)}, Outbound(), Terms(lease_seconds=0.06, **terms))
    thread = threading.Thread(target=worker.run)
    thread.start()
    deadline = time.monotonic() + 10
    while not (api.reports and not worker._held) and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    return api.reports[-1][1]


def test_a_report_names_the_attempt_and_the_run():
    api = SaidApi(item=0)
    assert worked(api, lambda: 5) == {"state": "SUCCESS", "result": 5, "attempt": 3}
    assert api.reports[0][0] == "/executions/e/tasks/a%20b?iteration=1&item=0"
    assert api.claimed[0]["actions"] == ["act"]
    assert api.claimed[0]["limit"] == 4
    assert len({claim["claim_key"] for claim in api.claimed}) == len(api.claimed)


def test_a_claim_that_got_no_answer_is_repeated_with_its_key():
    """The tasks that the lost answer held are given again."""
    api = SaidApi(claims=(NOTHING, 503, 200))
    worked(api, lambda: None)
    assert len({claim["claim_key"] for claim in api.claimed[:3]}) == 1


def test_a_report_is_repeated_until_it_is_answered():
    api = SaidApi(NOTHING, 503, 200)
    worked(api, lambda: 1)
    assert [report for _, report in api.reports] == [{"state": "SUCCESS", "result": 1, "attempt": 3}] * 3


@pytest.mark.parametrize("status", [404, 409, 401])
def test_a_report_that_is_not_wanted_is_dropped(status):
    api = SaidApi(status)
    worked(api, lambda: 1)
    assert len(api.reports) == 1


@pytest.mark.parametrize("status", [400, 413])
def test_a_result_that_cannot_be_taken_becomes_a_failure(status):
    told = worked(SaidApi(status, 200), lambda: "large")
    assert told["state"] == "FAILURE"
    assert "too large" in told["failure"]["message"]


def raises(error):
    raise error


@pytest.mark.parametrize(
    ("action", "type", "result"),
    [
        (lambda: raises(ValueError("x")), "ValueError", None),
        (lambda: raises(SystemExit(3)), "SystemExit", None),
        (lambda: raises(ActionFailed("x", "a.type", result=7)), "a.type", 7),
        (lambda: raises(SettingsInvalid(reason="x")), "settings.invalid", None),
        (lambda: {1}, "TypeError", None),
        (lambda: float("nan"), "TypeError", None),
    ],
)
def test_what_goes_wrong_is_told(action, type, result):
    told = worked(SaidApi(), action)
    assert (told["state"], told["failure"]["type"], told.get("result")) == ("FAILURE", type, result)


def test_heartbeats_tell_the_progress_and_bring_the_wish_to_cancel():
    """And what is no progress is not told."""
    api = SaidApi(cancels=True)

    def act(context):
        context.progress = 0.25
        assert context.cancelled.wait(5)
        context.progress = "much"
        time.sleep(0.1)

    assert worked(api, act)["state"] == "SUCCESS"
    assert api.beats[0] == {"state": "RUNNING", "lease_seconds": 0.06, "progress": 0.25, "attempt": 3}
    assert "progress" not in api.beats[-1]


def test_what_is_completed_later_keeps_its_lease_without_heartbeats():
    api = SaidApi()
    assert worked(api, lambda: Later(500)) == {"state": "RUNNING", "lease_seconds": 500, "attempt": 3}
    before = len(api.beats)
    time.sleep(0.1)
    assert len(api.beats) == before


def test_a_worker_that_is_refused_says_so():
    worker = Worker(SaidApi(claims=(401,)), {"act": lambda context: {}}, Outbound(), Terms())
    with pytest.raises(WorkerRefused, match=r"http://api .*no"):
        worker.run()
    with pytest.raises(SettingsInvalid):
        Worker(SaidApi(), {}, Outbound(), Terms())


def after(seconds, *signals):
    def send():
        for number in signals:
            time.sleep(seconds)
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


@pytest.fixture
def _handlers():
    """The handlers of signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_signals_end_workers():
    """One lets them finish; a second one, or the end of the time of grace, does not wait; a refusal is raised."""

    def workers(*actions):
        return [Worker(SaidApi(), {"act": handler_of(action)}, Outbound(), Terms()) for action in actions]

    finishing, (held,), (late,) = (
        workers(lambda: time.sleep(0.8), lambda: None),
        workers(lambda: time.sleep(3)),
        workers(lambda: time.sleep(3)),
    )
    after(0.4, signal.SIGTERM)
    work(finishing, 10)
    assert [worker.api.reports[0][1]["state"] for worker in finishing] == ["SUCCESS"] * 2
    after(0.4, signal.SIGTERM, signal.SIGINT)
    work([held], 60)
    after(0.4, signal.SIGTERM)
    work([late], 0.1)
    assert not held.api.reports
    assert not late.api.reports
    with pytest.raises(WorkerRefused):
        work([Worker(SaidApi(claims=(401,)), {"act": lambda context: {}}, Outbound(), Terms())], 1)


class Between(BaseHTTPRequestHandler):
    """Answers with the status in the path, as a proxy does: without JSON, unless the path says so."""

    def do_PUT(self):
        self.server.asked.append(self.headers["Authorization"])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path.split("/")[1]))
        self.end_headers()
        self.wfile.write(b'{"a": 1}' if self.path.endswith("json") else b"<html>")

    def log_message(self, *_):
        pass


def test_what_is_no_answer_of_the_api_is_none():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api = Api(f"http://127.0.0.1:{server.server_port}/", "s3cret")
    assert api.send("PUT", "/200/json", "{}") == (200, {"a": 1})
    assert api.send("PUT", "/200", "{}") == (NOTHING, {})
    assert api.send("PUT", "/413", "{}") == (413, {})
    assert set(server.asked) == {"Bearer s3cret"}
    server.shutdown()
    server.server_close()
    thread.join()
    assert api.send("PUT", "/200/json", "{}", 1.0) == (NOTHING, {})


def test_an_action_without_a_context_gets_its_input_only():
    context = Context({"input": {"context": 1}}, Outbound())
    assert handler_of(lambda **input: input)(context)["result"] == {"context": 1}


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("http://[::]:80", "http://[::1]:80"),
        ("http://10.0.0.1:80", "http://10.0.0.1:80"),
        ("http://localhost:80", "http://localhost:80"),
        ("unix:/run/api.sock", None),
    ],
)
def test_where_the_worker_of_serve_finds_the_api(address, url):
    assert reachable(address) == url
