"""For the users' own Celery application: what `lazyengine dispatch` sends to its workers is reported back.

    from celery import Celery
    from lazyengine.celery_worker import report_to

    app = Celery("work", broker="amqp://rabbit/")
    report_to("http://engine:8989", token="...")

The Celery tasks stay as they are: what they return is the result of the task of the workflow, and what they raise is
its failure.  One that Celery retries is not over yet.  Celery tasks that others have sent are left alone.
"""

import json
import logging
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from celery import signals

from lazyengine.backoff import backoff_seconds

logger = logging.getLogger(__name__)

HEADER = "lazyengine"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
TIMEOUT_SECONDS = 30.0
REFUSED = frozenset({400, 401, 403, 404, 409, 413})
"""Statuses that another try would not change."""


UNREADABLE = frozenset({400, 413})


class Reporter:
    """Reports how Celery tasks ended, in the worker that ran them.

    :param url: of the API
    :param token: of the API; not needed where assignments have a `callback_url`
    :param patience_seconds: for how long one report is tried; then it is for the lease of the target to notice
    """

    def __init__(self, url: str = "", token: str = "", patience_seconds: float = 600.0) -> None:
        self.url, self.token, self.patience_seconds = url.rstrip("/"), token, patience_seconds

    def succeeded(self, sender: Any = None, result: Any = None, **_: Any) -> None:
        """Take Celery's signal that a task has returned."""
        self._report(sender, {"state": "SUCCESS", "result": result})

    def failed(self, sender: Any = None, exception: Any = None, **_: Any) -> None:
        """Take Celery's signal that a task has raised."""
        failure = {"type": type(exception).__name__[:255], "message": str(exception)[:65_536]}
        self._report(sender, {"state": "FAILURE", "failure": failure})

    def revoked(self, request: Any = None, **_: Any) -> None:
        """Take Celery's signal that a task was revoked."""
        self._put(assignment_of(request), {"state": "CANCELLED"})

    def _report(self, sender: Any, body: dict[str, Any]) -> None:
        self._put(assignment_of(getattr(sender, "request", None)), body)

    def _put(self, assignment: dict[str, Any] | None, body: dict[str, Any]) -> None:
        if assignment is None:
            return
        try:
            text = json.dumps(body | {"attempt": assignment["attempt"]}, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            failure = {"type": "result", "message": f"The result is no JSON: {error}"}
            text = json.dumps({"state": "FAILURE", "failure": failure, "attempt": assignment["attempt"]})
        deadline, failures = time.monotonic() + self.patience_seconds, 0
        while not self._is_told(assignment, text.encode()):
            pause = backoff_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            if time.monotonic() + pause > deadline:
                logger.error(
                    "task %s of execution %s: the report got lost", assignment["task"], assignment["execution_id"]
                )
                return
            time.sleep(pause)
            failures += 1

    def _is_told(self, assignment: dict[str, Any], body: bytes, is_last: bool = False) -> bool:
        """Send a report; return whether that is settled, taken or refused.

        A result that the API does not take is a failure of the task.
        """
        headers = {"Content-Type": "application/json"}
        if not assignment.get("callback_url") and self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        url = assignment.get("callback_url") or self.url + _path(assignment)
        request = urllib.request.Request(url, body, headers, method="PUT")  # noqa: S310 - the engine's own address
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return True
        except urllib.error.HTTPError as error:
            with error:
                if error.code in UNREADABLE and not is_last:
                    return self._is_told(assignment, _refused(assignment, error.code), is_last=True)
                if error.code in REFUSED:
                    logger.warning("the report on task %s was refused: %s", assignment["task"], error.read(2000))
                    return True
        except (OSError, HTTPException) as error:
            logger.warning("the report on task %s did not arrive: %s", assignment["task"], error)
        return False


def _refused(assignment: dict[str, Any], status: int) -> bytes:
    failure = {"type": "result", "message": f"The API refused the result with {status}; see the log of the worker"}
    return json.dumps({"state": "FAILURE", "failure": failure, "attempt": assignment["attempt"]}).encode()


def report_to(url: str = "", token: str = "", patience_seconds: float = 600.0) -> Reporter:
    """Report what the tasks of this process come to; call it once, where the application is made."""
    reporter = Reporter(url, token, patience_seconds)
    signals.task_success.connect(reporter.succeeded, weak=False)
    signals.task_failure.connect(reporter.failed, weak=False)
    signals.task_revoked.connect(reporter.revoked, weak=False)
    return reporter


def assignment_of(request: Any) -> dict[str, Any] | None:
    """Return the assignment that a Celery task came with; None if it did not come from an engine."""
    found = getattr(request, HEADER, None) or (getattr(request, "headers", None) or {}).get(HEADER)
    return found if isinstance(found, dict) else None


def _path(assignment: dict[str, Any]) -> str:
    query = {name: assignment[name] for name in ("iteration", "item") if assignment.get(name) is not None}
    path = f"/executions/{assignment['execution_id']}/tasks/{quote(assignment['task'], safe='')}"
    return f"{path}?{urlencode(query)}"
