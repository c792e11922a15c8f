"""A client with one connection that it keeps, as a worker has it."""

import http.client
import json
from typing import Any
from urllib.parse import quote


class Client:
    """Speaks to a service on loopback; every answer but the expected ones is an AssertionError."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send one request and return its status and its parsed body."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read() or b"null")

    def put(self, path: str, body: Any) -> Any:
        status, answer = self.send("PUT", path, body)
        assert status == 200, answer
        return answer

    def start(self, tasks: dict[str, Any]) -> str:
        """Start an execution of these tasks and return its id."""
        status, answer = self.send("POST", "/executions", {"definition": {"workflow": {"tasks": tasks}}})
        assert status == 201, answer
        execution_id: str = answer["id"]
        return execution_id

    def complete(self, execution: str, task: str) -> Any:
        return self.put(f"/executions/{execution}/tasks/{quote(task, safe='')}", {"state": "SUCCESS"})

    def complete_all(self, execution: str, tasks: list[dict[str, Any]]) -> list[Any]:
        """Complete tasks in one request, each with success, and return the answers."""
        entries = [{"state": "SUCCESS", **task} for task in tasks]
        answers: list[Any] = self.put(f"/executions/{execution}/tasks", {"tasks": entries})["tasks"]
        assert [answer["status"] for answer in answers] == [200] * len(tasks), answers
        return answers

    def get(self, execution: str) -> Any:
        status, answer = self.send("GET", f"/executions/{execution}")
        assert status == 200, answer
        return answer
