"""Claims tasks from the API, runs their actions in threads, and reports how they went.

It has no state that matters.  What it holds is leased: heartbeats extend the leases, and where they stop, the tasks go
to others.  Each report names its attempt, so what was overtaken is refused (409) and dropped.
"""

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from lazyengine.actions import ActionFailed, Context, Handler, Later
from lazyengine.actions.contract import failure
from lazyengine.errors import SettingsInvalid, WorkerRefused
from lazyengine.outbound import Outbound
from lazyengine.worker.client import BUSY, Api

logger = logging.getLogger(__name__)

MAX_ACTIONS = 64
"""Of a claim (`api/requests.py`)."""
OVERTAKEN = frozenset({404, 409})
UNACCEPTABLE = frozenset({400, 413})
"""Statuses of a report that cannot be taken as it is: its result is too large, for one."""


@dataclass(slots=True, eq=False)
class Held:
    """A task that is under way here; `lock` keeps heartbeats from crossing with the last word on its lease."""

    context: Context
    path: str
    beats: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def body(self, report: Mapping[str, Any]) -> str:
        return json.dumps({**report, "attempt": self.context.assignment["attempt"]}, allow_nan=False)


def is_overtaken(status: int, answer: Mapping[str, Any]) -> bool:
    """Tell whether the attempt is nobody's any more."""
    return status in OVERTAKEN or answer.get("code") == "callback.outlived"


def unknown(context: Context) -> dict[str, Any] | Later:
    """Stand in for the action that a task names and nobody has: a queue brings whatever was sent there."""
    raise ActionFailed(f"this worker has no action '{context.assignment['action']}'", type="action.unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    :param targets: whose tasks it takes
    :param concurrency: how many it runs at a time
    :param lease_seconds: how long after its death its tasks go to others
    :param wait_seconds: how long one claim waits for a first task; as long it may take to stop
    """

    targets: tuple[str, ...] = ("default",)
    concurrency: int = 4
    lease_seconds: float = 60.0
    wait_seconds: float = 5.0


class Worker:
    """Works for one owner: the one whose token `api` has."""

    def __init__(self, api: Api, handlers: Mapping[str, Handler], outbound: Outbound, terms: Terms) -> None:
        if not 0 < len(handlers) <= MAX_ACTIONS:
            raise SettingsInvalid(reason=f"a worker takes 1 to {MAX_ACTIONS} actions, not {len(handlers)}")
        self.api, self.handlers, self.outbound, self.terms = api, handlers, outbound, terms
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self._held: set[Held] = set()
        self._changed = threading.Condition()
        self._stopped, self._gone = threading.Event(), threading.Event()

    def stop(self) -> None:
        """Claim no more; `run` returns once what is held has been reported."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def run(self) -> None:
        """Work until `stop`.

        :raises WorkerRefused: the API does not let it work
        """
        threading.Thread(target=self._beat_all, daemon=True).start()
        try:
            self._take_in()
        finally:
            self._stopped.set()
            self._wait_for(lambda: not self._held)
            self._gone.set()

    def _take_in(self) -> None:
        while not self._stopped.is_set():
            if free := self._wait_for(lambda: self._stopped.is_set() or self._free()):
                for assignment in self._claim(free):
                    self._begin(assignment, self._path(assignment))

    def _free(self) -> int:
        return self.terms.concurrency - len(self._held)

    def _wait_for(self, ready: Callable[[], object]) -> int:
        with self._changed:
            self._changed.wait_for(ready)
            return 0 if self._stopped.is_set() else self._free()

    def _claim(self, limit: int) -> list[dict[str, Any]]:
        """Ask until there is an answer, always with the same key: an answer that was lost is given again."""
        wish = {
            "worker": self.name, "targets": self.terms.targets, "actions": list(self.handlers), "limit": limit,
            "lease_seconds": self.terms.lease_seconds, "wait_seconds": self.terms.wait_seconds,
            "claim_key": str(uuid.uuid4()),
        }  # fmt: skip
        status, answer = self.api.insist("POST", "/tasks/claim", json.dumps(wish), self._stopped)
        if status in BUSY:
            return []
        if status != 200:
            raise WorkerRefused(api=self.api.url, detail=answer.get("detail", f"it answers {status}"))
        tasks: list[dict[str, Any]] = answer["tasks"]
        return tasks

    def _path(self, assignment: Mapping[str, Any]) -> str:
        name = quote(assignment["task"], safe="")
        path = f"/executions/{assignment['execution_id']}/tasks/{name}?iteration={assignment['iteration']}"
        return path if assignment["item"] is None else f"{path}&item={assignment['item']}"

    def _begin(self, assignment: dict[str, Any], path: str) -> None:
        held = Held(Context(assignment, self.outbound), path)
        with self._changed:
            self._held.add(held)
        threading.Thread(target=self._hold, args=(held,), daemon=True).start()

    def _hold(self, held: Held) -> None:
        try:
            self._do(held)
        finally:
            with self._changed:
                self._held.discard(held)
                self._changed.notify_all()

    def _do(self, held: Held) -> None:
        action = held.context.assignment["action"]
        try:
            report = self.handlers.get(action, unknown)(held.context)
        except BaseException as error:  # a worker outlives even SystemExit
            report = failure(error)
        if isinstance(report, Later):
            with held.lock:
                held.beats = False
            report = {"state": "RUNNING", "lease_seconds": report.seconds}
        try:
            body = held.body(report)
        except (TypeError, ValueError, RecursionError) as error:
            body = held.body(failure(TypeError(f"The result is not JSON: {error}")))
        self._report(held, body)

    def _report(self, held: Held, body: str) -> None:
        status, answer = self.api.insist("PUT", held.path, body, self._gone)
        if status in UNACCEPTABLE:
            refused = ValueError(f"The result was refused: {answer.get('detail', status)}")
            status, answer = self.api.insist("PUT", held.path, held.body(failure(refused)), self._gone)
        if status != 200:
            word = "overtaken" if is_overtaken(status, answer) else "not taken"
            logger.warning("the report on %s was %s: %s %s", held.path, word, status, answer.get("code", ""))

    def _beat_all(self) -> None:
        while not self._gone.wait(self.terms.lease_seconds / 3):
            with self._changed:
                held = list(self._held)
            for one in held:
                with one.lock:
                    if one.beats:
                        self._beat(one)

    def _beat(self, held: Held) -> int:
        """Say that a task is worked on; return the status of the answer."""
        beat: dict[str, Any] = {"state": "RUNNING", "lease_seconds": self.terms.lease_seconds}
        if isinstance(held.context.progress, int | float) and 0 <= held.context.progress <= 1:
            beat["progress"] = held.context.progress
        status, answer = self.api.send("PUT", held.path, held.body(beat), max(1.0, self.terms.lease_seconds / 3))
        if is_overtaken(status, answer) or (status == 200 and answer["cancel_requested"]):
            held.context.cancelled.set()
        return status
