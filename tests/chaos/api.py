"""The HTTP API as a caller sees it that does not give up: who is away is asked again, at any address there is."""

import http.client
import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit


class Unanswered(Exception):
    """Nobody answered in time."""


class Api:
    """
    :param urls: services over the same database
    """

    def __init__(self, urls: Sequence[str], patience_seconds: float = 60.0) -> None:
        self.places = [urlsplit(url).netloc for url in urls]
        self.patience_seconds = patience_seconds
        self.connection: http.client.HTTPConnection | None = None
        self.at = 0

    def call(self, method: str, path: str, body: Any = None, timeout_seconds: float = 30.0) -> tuple[int, Any]:
        """Send a request until it is answered with something else than 5xx.

        :raises Unanswered: it was not
        """
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                status, answer = self._once(method, path, body, timeout_seconds)
                if status < 500:
                    return status, answer
            except (OSError, http.client.HTTPException, ValueError):
                self._turn()
            if time.monotonic() > deadline:
                raise Unanswered(f"{method} {path}")
            time.sleep(0.1)

    def _once(self, method: str, path: str, body: Any, timeout_seconds: float) -> tuple[int, Any]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.places[self.at], timeout=timeout_seconds)
        data = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        with self.connection.getresponse() as response:
            return response.status, json.loads(response.read() or b"null")

    def _turn(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection, self.at = None, (self.at + 1) % len(self.places)
