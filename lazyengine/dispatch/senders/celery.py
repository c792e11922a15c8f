"""Tasks to Celery workers: a target is a queue of Celery, an action is a task of Celery.

The workers report back with `lazyengine.celery_worker`.
"""

import uuid

from celery import Celery

from lazyengine.dispatch.senders import failed
from lazyengine.dispatch.senders.broker import Broker
from lazyengine.dispatch.wire import Wire
from lazyengine.records import Errand, Report
from lazyengine.targets import Target

HEADER = "lazyengine"
"""The header of a message that holds the assignment without its input."""

NAMES = uuid.UUID("5e1f7a4b-8a57-4a53-9f2b-0f6d8f5b1d4a")
"""Where the ids of Celery tasks are made in: the same attempt has the same id."""


class CelerySender:
    """Sends assignments as messages of Celery; their results travel through the API, not through Celery."""

    def __init__(self, target: Target, wire: Wire) -> None:
        self.queue = target.queue or target.name
        self.app = Celery("lazyengine", broker=target.url, set_as_current=False)
        self.broker, self.wire = Broker(target.url, target.timeout_seconds), wire

    def send(self, errand: Errand) -> Report | None:
        """Send a task with its input as keyword arguments; one without an action fails."""
        assignment = errand.assignment
        if assignment.action is None:
            return failed(errand, f"Celery queue '{self.queue}' runs actions, and the task names none")
        document = self.wire.document(errand)
        given = document.pop("input")
        self.broker.publish(
            lambda producer: self.app.send_task(
                assignment.action,
                kwargs=given,
                task_id=str(uuid.uuid5(NAMES, errand.id)),
                queue=self.queue,
                producer=producer,
                ignore_result=True,
                retry=False,
                headers={HEADER: document},
            )
        )
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.broker.close()
        self.app.close()
