"""Callbacks: a report by somebody who has nothing but the URL for it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lazyengine.api import answers, requests
from lazyengine.api.executions import DATABASE
from lazyengine.api.operation import Segment, operation
from lazyengine.api.request import Request
from lazyengine.api.tasks import REPORT_ERRORS, report_of, take_in
from lazyengine.api.types import Matching
from lazyengine.callbacks import Callbacks
from lazyengine.errors import CallbackExpired, CallbackInvalid, CallbackOutlived, RequestInvalid
from lazyengine.records import Reported

if TYPE_CHECKING:
    from lazyengine.engine import Engine

TOKEN = Segment(
    "token",
    Matching(r"[A-Za-z0-9_.-]{1,2048}", "the end of a callback_url"),
    "The end of a callback_url.",
    absent=lambda texts: CallbackInvalid(),
)


class CallbackReports:
    """The controller of callbacks."""

    def __init__(self, engine: "Engine", callbacks: Callbacks) -> None:
        self._engine = engine
        self._callbacks = callbacks

    @operation(
        "PUT",
        "/callbacks/{token}",
        answers.ReportedTask,
        segments=(TOKEN,),
        body=requests.TASK_REPORT,
        errors=(CallbackInvalid, CallbackExpired, CallbackOutlived, *REPORT_ERRORS, *DATABASE),
        open=True,
    )
    def call_back(self, request: Request, token: str, body: Any) -> Reported:
        """Report how the attempt went that the URL stands for, or that it is still worked on.

        The URL is all the authentication there is.  What follows from the report is not told: `scheduled` is empty and
        `output` null.
        """
        may = self._callbacks.read(token)
        if body.attempt not in (None, may.attempt):
            raise RequestInvalid(reason=f"'/attempt' is not the one of this URL, which is for attempt {may.attempt}.")
        body.attempt = may.attempt
        report = may.of(report_of(may.task, body, may.iteration, may.item))
        answer = take_in(self._engine, may.owner, may.execution_id, report)
        task = self._callbacks.show(may.owner, answer.task)
        return replace(answer, task=task, scheduled=(), execution=replace(answer.execution, output=None))
