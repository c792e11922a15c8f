"""Documents that travel without a request: assignments that are pushed, and the reports that answer them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lazyengine.api import answers, requests
from lazyengine.api.reading import read_document, read_object
from lazyengine.api.tasks import report_of
from lazyengine.api.writing import writer
from lazyengine.records import Assignment, Heartbeat, Report

CallbackUrl = Callable[[str, Assignment], str | None]


def assignment_writer(callback_url: CallbackUrl) -> Callable[[str, Assignment], dict[str, Any]]:
    """Return the function that writes an assignment as an answer to a claim shows it.

    :param callback_url: where the task may be reported on without any other credential, for its owner; or None
    """
    write = writer(answers.Assignment)
    return lambda owner, assignment: write(assignment) | {"callback_url": callback_url(owner, assignment)}


def read_report(assignment: Assignment, body: bytes) -> Report | Heartbeat:
    """Read a report on an assignment, as a PUT on the task would.

    :raises RequestInvalid: it is none
    """
    report = report_of(
        assignment.task, read_document(requests.TASK_REPORT, read_object(body)), assignment.iteration, assignment.item
    )
    return replace(report, attempt=assignment.attempt)
