"""Speaking HTTP badly on purpose, and seeing what it does to the service."""

import json
import socket
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
LONGEST_REFUSAL_BYTES = 256 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        return self.json["code"] if self.headers.get("content-type") == "application/problem+json" else None


class Attacker:
    """Sends to a service what no client would."""

    def __init__(self, port: int) -> None:
        self.port = port

    def raw(self, *parts: bytes, method: str = "GET") -> Answer:
        """Send bytes on a connection of their own, as far as the service takes them, and read one answer."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as connection:
            try:
                for part in parts:
                    connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all was sent; the answer may be there all the same
            with HTTPResponse(connection, method=method) as response:
                try:
                    response.begin()
                    body = response.read()
                except (HTTPException, ConnectionError):
                    return Answer(0, {}, b"", time.monotonic() - began)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body, time.monotonic() - began)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request whose body is `body`, byte for byte; header names have `_` for `-`."""
        fields = {"Host": "localhost", "Connection": "close"}
        if body is not None:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return self.raw(head, body or b"", method=method)

    def post(self, body: Any, path: str = "/executions") -> Answer:
        """Post a value as JSON; bytes go as they are."""
        return self.send("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def put(self, path: str, body: Any) -> Answer:
        return self.send("PUT", path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def start(self, tasks: dict[str, Any], **members: Any) -> Answer:
        """Start an execution of these tasks."""
        return self.post({"definition": {"w": {"tasks": tasks}}, **members})

    def define(self, definition: Any) -> Answer:
        """Start an execution of a definition."""
        return self.post({"definition": definition})


def refused(answer: Answer, status: int, code: str, within_seconds: float = 10.0) -> None:
    """Assert that an answer is the problem document of this status and code, of bounded size, and came in time."""
    assert (answer.status, answer.code) == (status, code), answer.body[:1000]
    problem = answer.json
    assert set(problem) == {"type", "title", "status", "code", "detail", "request_id", "errors"}
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-openstack-request-id"]
    assert len(answer.body) <= LONGEST_REFUSAL_BYTES
    assert not any(word in answer.body for word in (b"Traceback", b"sqlalchemy", b"SELECT", b".py"))
    assert answer.seconds < within_seconds


def works(answer: Answer, status: int = 201, within_seconds: float = 10.0) -> Any:
    """Assert that an answer is a success that came in time, and return its body."""
    assert answer.status == status, answer.body[:1000]
    assert answer.seconds < within_seconds
    return answer.json if answer.body else None


def workers_of(process_id: int) -> list[int]:
    """List the worker processes of a service."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return sorted(int(child) for child in children.split())


def peak_megabytes(process_id: int) -> float:
    """Tell how much memory a process had at most since `forget_peak`."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def forget_peak(process_id: int) -> None:
    """Let the peak of a process begin anew."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5")
