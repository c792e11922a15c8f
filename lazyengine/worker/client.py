"""The HTTP API as a worker needs it."""

import json
import logging
import threading
from typing import Any

import urllib3

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 90.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
NOTHING = 0
"""In the place of a status: no answer came."""
BUSY = frozenset({NOTHING, 408, 429, 500, 502, 503, 504})
"""Statuses after which a request is repeated."""


class Api:
    """Every request of a worker may be repeated without harm; threads may share this."""

    def __init__(self, url: str, token: str | None = None, connections: int = 10) -> None:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=connections, headers=headers, retries=False)

    def send(self, method: str, path: str, body: str, timeout_seconds: float = TIMEOUT_SECONDS) -> tuple[int, Any]:
        """Return the status and the document of the answer; `NOTHING` where none came."""
        try:
            answer = self._pool.request(
                method, self.url + path, body=body.encode(), timeout=timeout_seconds, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            logger.debug("no answer from %s: %s", self.url, type(error).__name__)
            return NOTHING, {}
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:  # from something in between
            return answer.status if answer.status >= 300 else NOTHING, {}

    def insist(self, method: str, path: str, body: str, until: threading.Event) -> tuple[int, Any]:
        """Repeat a request until it is answered, or nobody waits for that any more."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            status, answer = self.send(method, path, body)
            if status not in BUSY or until.wait(pause):
                return status, answer
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
