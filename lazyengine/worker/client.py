"""The HTTP API as a worker needs it."""

import json
import logging
import threading
from itertools import count
from typing import Any

import urllib3

from lazyengine.backoff import backoff_seconds

logger = logging.getLogger(__name__)

JSON = {"Content-Type": "application/json"}
TIMEOUT_SECONDS = 90.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
NOTHING = 0
"""In the place of a status: no answer came."""
BUSY = frozenset({NOTHING, 408, 429, 500, 502, 503, 504})
"""Statuses after which a request is repeated."""


class Api:
    """Every request of a worker may be repeated without harm; threads may share this."""

    def __init__(self, url: str, token: str | None = None, connections: int = 10) -> None:
        headers = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=connections, headers=headers, retries=False)

    def send(self, method: str, path: str, body: str, timeout_seconds: float = TIMEOUT_SECONDS) -> tuple[int, Any]:
        """Return the status and the document of the answer; `NOTHING` where none came.

        :param path: of the API; or a callback URL, which is sent no token
        """
        url, headers = self.url + path, None
        if "://" in path:
            url, headers = path, JSON
        try:
            answer = self._pool.request(
                method, url, body=body.encode(), headers=headers, timeout=timeout_seconds, redirect=False
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
        for failures in count():
            status, answer = self.send(method, path, body)
            if status not in BUSY or until.wait(backoff_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)):
                break
        return status, answer
