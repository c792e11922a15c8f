"""Evaluating templates within bounds of time, memory and size.

Plain paths are followed here; everything else is sent to a process of its own, which is killed when it overruns.
A thread takes an idle process or starts one, so that nobody waits for the expressions of somebody else.
"""

import json
import os
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lazyengine.compilers.expressions.process import Lost, Process
from lazyengine.compilers.expressions.scan import quoted
from lazyengine.compilers.expressions.shortcut import Missing
from lazyengine.compilers.expressions.template import Template, fill
from lazyengine.compilers.expressions.view import View, message
from lazyengine.compilers.faults import cut, pointer
from lazyengine.settings import Settings

LONGEST_MESSAGE = 1_000
MOST_REPLACED = 5
"""Processes that one batch may use up."""
WORN = 10_000
"""Jobs after which a process is replaced: its caches and its heap have grown."""


class EvaluationError(Exception):
    """A template cannot be evaluated.

    :ivar reason: `failed`, `timeout`, `memory` or `size`
    :ivar place: of the string in the template, as a JSON Pointer
    :ivar expression: the string, or the part of it that failed; cut where it is long
    """

    def __init__(self, reason: str, place: str, expression: str, why: str) -> None:
        self.reason, self.place, self.expression = reason, place, quoted(expression)
        at = f" at {place}" if place else ""
        super().__init__(cut(f"Cannot evaluate {self.expression}{at}: {why}", LONGEST_MESSAGE))


@dataclass(slots=True)
class _Job:
    """One template over one view; `left` are the indexes of those of its texts that take a process."""

    template: Template
    view: View
    values: list[Any] = field(init=False)
    left: list[int] = field(init=False)
    outcome: Any = None

    def __post_init__(self) -> None:
        shortcuts = [text.shortcut for _, text in self.template.texts]
        self.values = [shortcut.follow(self.view) if shortcut else Missing() for shortcut in shortcuts]
        self.left = [index for index, value in enumerate(self.values) if isinstance(value, Missing)]
        if not self.left:
            self.settle([])

    def message(self) -> list[Any]:
        texts = [self.template.texts[index][1] for index in self.left]
        said = json.dumps(message(self.view, self.template.reads), separators=(",", ":"))
        return [said, [(text.language.value, text.source) for text in texts]]

    def settle(self, values: list[Any]) -> None:
        for index, value in zip(self.left, values, strict=True):
            self.values[index] = value
        self.outcome = fill(self.template, self.values) if self.values else self.template.value

    def fail(self, reason: str, why: str, expression: str = "") -> None:
        texts = [self.template.texts[index] for index in self.left]
        place, text = next(((place, text) for place, text in texts if expression in text.source), texts[0])
        self.outcome = EvaluationError(reason, pointer(place), expression or text.source, why)


class Evaluator:
    """Evaluates for any number of threads; its processes start when they are first needed.

    :param settings: those named `expression_…`
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._idle: list[Process] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _stop, self._idle)

    def evaluate(self, template: Template, view: View) -> Any:
        """Return the template's value.

        :raises EvaluationError: it has none, or none within the bounds
        """
        (outcome,) = self.evaluate_many([(template, view)])
        if isinstance(outcome, EvaluationError):
            raise outcome
        return outcome

    def evaluate_many(self, pairs: Iterable[tuple[Template, View]]) -> list[Any]:
        """Return for each template its value or an `EvaluationError`, all within one deadline.

        Values are JSON and may share parts with the view and the template: do not change them.
        Cost: at most one round trip to a process, of about 200 microseconds, and what the expressions take themselves.
        """
        jobs = [_Job(template, view) for template, view in pairs]
        if left := [job for job in jobs if job.left]:
            self._ask(left)
        return [job.outcome for job in jobs]

    def start(self) -> None:
        """Start as many processes as are kept, so that the first expressions do not wait for one."""
        for _ in range(self.settings.expression_processes - len(self._idle)):
            self._give(self._new())

    def _ask(self, left: list[_Job]) -> None:
        """Settle or fail each job.

        A process that ends in a job that was not its first proves nothing against it: a new one tries.
        """
        process = self._take()
        deadline = time.monotonic() + self.settings.expression_timeout_seconds
        for _ in range(MOST_REPLACED):
            try:
                self._hear(process, left, deadline)
                return self._give(process)
            except TimeoutError:
                break
            except Lost:
                if not process.answered:
                    job = left.pop(0)
                    job.fail("memory", f"it takes more than {self.settings.expression_memory_bytes} bytes of memory")
                process.kill()
                if not left:
                    return None
                lost_at = time.monotonic()
                process = self._new()
                deadline += time.monotonic() - lost_at
            except BaseException:
                process.kill()
                raise
        process.kill()
        return self._overrun(left)

    def _hear(self, process: Process, left: list[_Job], deadline: float) -> None:
        """Take the answers one by one, so that of a batch that comes to grief only the rest is to be asked again.

        :raises Lost: the process has ended, in the first of those left
        :raises TimeoutError: it is still at it at the deadline
        """
        process.send([job.message() for job in left], deadline)
        while left:
            answer = process.receive(deadline)
            if answer.get("error") == "memory":
                raise Lost
            job = left.pop(0)
            if "error" in answer:
                job.fail(str(answer["error"]), str(answer["message"]), str(answer["at"]))
            else:
                job.settle(answer["values"])
            process.answered += 1

    def _overrun(self, left: list[_Job]) -> None:
        seconds = self.settings.expression_timeout_seconds
        for index, job in enumerate(left):
            job.fail("timeout", f"it takes longer than {seconds:g} s" if not index else f"{seconds:g} s were used up")

    def _new(self) -> Process:
        return Process(self.settings)

    def _take(self) -> Process:
        with self._lock:
            if self._owner != os.getpid():  # forked: the processes are those of another one
                self._owner = os.getpid()
                self._idle.clear()
            process = self._idle.pop() if self._idle else None
        return process or self._new()

    def _give(self, process: Process) -> None:
        with self._lock:
            keep = len(self._idle) < self.settings.expression_processes and process.answered < WORN
            if keep and self.close.alive:
                self._idle.append(process)
                return
        process.kill()


def _stop(idle: list[Process]) -> None:
    while idle:
        idle.pop().kill()
