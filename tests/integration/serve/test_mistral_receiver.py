"""The receiver of `examples/mistral` between signed notifications and what answers in Mistral's place."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

RECEIVER = Path(__file__).parents[3] / "examples" / "mistral" / "receiver.py"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TASK = "25d583e2-b64c-499a-8f03-95f4dcdaa78a"


class Mistral(ThreadingHTTPServer):
    """One task with the actions that it has tried; an action that has ended cannot be completed, as in Mistral."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.actions: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def started(self, execution: dict[str, Any], state: str = "RUNNING") -> dict[str, Any]:
        body = {"url": "http://127.0.0.1/executions", "json": {"id": execution["id"]}}
        self.actions.append({"id": str(uuid.uuid4()), "state": state, "input": json.dumps(body)})
        return self.actions[-1]


class Answers(BaseHTTPRequestHandler):
    server: Mistral

    def do_GET(self) -> None:
        assert self.path == f"/v2/tasks/{TASK}/action_executions?state=RUNNING&fields=id,input"
        running = [action for action in self.server.actions if action["state"] == "RUNNING"]
        self.answer(200, {"action_executions": running})

    def do_PUT(self) -> None:
        report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (action,) = [one for one in self.server.actions if self.path == f"/v2/action_executions/{one['id']}"]
        status = 200 if action["state"] == "RUNNING" else 500
        action |= report
        self.answer(status, {})

    def answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def mistral() -> Iterator[Mistral]:
    with Mistral() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture
def receiver(mistral: Mistral) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, RECEIVER, mistral.url, "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | {"WEBHOOK_SECRET": SECRET}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def ended(state: str = "SUCCESS") -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "state": state, "state_info": None, "output": {"n": 1}}


def notify(url: str, data: dict[str, Any], secret: str = SECRET) -> int:
    """Send a notification as the dispatcher does; return the status of the answer."""
    body, now = json.dumps({"data": data}), datetime.now(UTC)
    signature = Webhook(secret).sign("1", now, body)
    headers = {"webhook-id": "1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers), timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("SUCCESS", "SUCCESS"), ("FAILURE", "ERROR"), ("REVERTED", "ERROR"), ("CANCELLED", "CANCELLED")],
)
def test_every_end_of_ours_is_one_of_mistrals(mistral: Mistral, receiver: str, ours: str, theirs: str) -> None:
    execution = ended(ours)
    action = mistral.started(execution)
    assert notify(f"{receiver}/{TASK}", execution) == 204
    assert action["state"] == theirs
    assert action["output"] == execution


def test_only_the_action_that_started_it_is_completed_and_only_once(mistral: Mistral, receiver: str) -> None:
    """Of the attempts of a task each has its own execution, and a late or repeated notification changes nothing."""
    first, second = ended("FAILURE"), ended()
    given_up, running = mistral.started(first, "ERROR"), mistral.started(second)
    assert notify(f"{receiver}/{TASK}", first) == 204
    assert (given_up["state"], running["state"]) == ("ERROR", "RUNNING")
    assert "output" not in given_up
    for _ in range(2):
        assert notify(f"{receiver}/{TASK}", second) == 204
        assert running["state"] == "SUCCESS"


def test_what_is_not_signed_by_us_reaches_nobody(mistral: Mistral, receiver: str) -> None:
    execution = ended()
    action = mistral.started(execution)
    assert notify(f"{receiver}/{TASK}", execution, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") == 401
    assert action["state"] == "RUNNING"


def test_what_is_no_task_is_refused(receiver: str) -> None:
    assert notify(f"{receiver}/../executions", ended()) == 400


def test_while_mistral_is_away_the_dispatcher_has_to_come_again(mistral: Mistral, receiver: str) -> None:
    execution = ended()
    action = mistral.started(execution)
    mistral.shutdown()
    mistral.server_close()
    assert notify(f"{receiver}/{TASK}", execution) == 502
    assert action["state"] == "RUNNING"
