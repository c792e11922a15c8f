"""Tasks as signed webhooks: the answer may say at once how the task ended, or that it will be reported later."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from lazyengine.dispatch.senders import DestinationAway, SendingFailed, failed
from lazyengine.dispatch.webhook import Signer, event
from lazyengine.dispatch.wire import Wire
from lazyengine.errors import OutboundFailed, OutboundRefused, OutboundTooLarge, OutboundUnanswered, RequestInvalid
from lazyengine.outbound import Outbound
from lazyengine.records import Errand, Report
from lazyengine.settings import Settings
from lazyengine.targets import Target

TYPE = "lazyengine.assignment"
AWAY = frozenset({429, 502, 503, 504})
"""Statuses that speak for the destination, not for this task."""


class HttpSender:
    """POSTs assignments to a URL."""

    def __init__(self, target: Target, settings: Settings, wire: Wire, outbound: Outbound) -> None:
        self.url, self.timeout_seconds = target.url, target.timeout_seconds
        self.signer, self.wire, self.outbound = Signer(settings), wire, outbound

    def send(self, errand: Errand) -> Report | None:
        """Send a task; a 2xx takes it, and where its body has a `state`, it is the report on the task."""
        assignment, now = errand.assignment, datetime.now(UTC)
        document = self.wire.document(errand)
        body = self.wire.encode(event(errand.id, TYPE, assignment.execution_id, assignment.task, now, document))
        headers = self.signer.headers(errand.id, body, now)
        if assignment.traceparent:
            headers["traceparent"] = assignment.traceparent
        try:
            answer = self.outbound.post(self.url, body.encode(), headers, self.timeout_seconds)
        except OutboundTooLarge:
            return None  # it was taken, with too many words
        except OutboundUnanswered as error:
            raise SendingFailed(str(error)) from error
        except (OutboundRefused, OutboundFailed, OSError) as error:
            raise DestinationAway(str(error)) from error
        if answer.status in AWAY:
            raise DestinationAway(f"it answered {answer.status}")
        if not 200 <= answer.status < 300:
            raise SendingFailed(f"it answered {answer.status}")
        return self._report(errand, answer.body)

    def _report(self, errand: Errand, body: bytes) -> Report | None:
        """Read an answer that has taken the task: what is no report is only an answer; a bad one is a failed task."""
        said: Any = None
        with suppress(ValueError, RecursionError):
            said = json.loads(body)
        if not isinstance(said, dict) or "state" not in said:
            return None
        try:
            report = self.wire.read(errand.assignment, body)
        except RequestInvalid as error:
            return failed(errand, f"{self.url} answered with a report that cannot be read: {error}")
        return report if isinstance(report, Report) else None

    def close(self) -> None:
        """Nothing stays open that would be its own."""
