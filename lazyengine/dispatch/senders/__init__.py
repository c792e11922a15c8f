"""How tasks reach those who run them, one module for each kind of destination."""

from typing import Protocol

from lazyengine.core.state import Failure, Outcome, TaskState
from lazyengine.dispatch.wire import Wire
from lazyengine.errors import SettingsInvalid
from lazyengine.outbound import Outbound
from lazyengine.records import Errand, Report
from lazyengine.settings import Settings
from lazyengine.targets import Target


class SendingFailed(Exception):
    """This task was not taken; it is to be sent again later."""


class DestinationAway(SendingFailed):
    """Nothing can be sent there now."""


class Sender(Protocol):
    """Sends tasks to one destination, in one thread."""

    def send(self, errand: Errand) -> Report | None:
        """Send a task; return how it ended where the receiver says so at once.

        :raises SendingFailed: it was not taken
        :raises DestinationAway: nor would others be
        """

    def close(self) -> None:
        """Let go of what it is connected to."""


def failed(errand: Errand, message: str) -> Report:
    """Return the report on a task that nobody will do."""
    one, outcome = errand.assignment, Outcome(TaskState.FAILURE, None, Failure("dispatch", message))
    return Report(one.task, outcome, one.iteration, one.attempt, one.item)


def sender_of(target: Target, settings: Settings, wire: Wire, outbound: Outbound) -> Sender:
    """Make a sender for a target.

    :raises SettingsInvalid: what it needs is not installed
    """
    try:
        if target.sender == "amqp":
            from lazyengine.dispatch.senders.amqp import AmqpSender

            return AmqpSender(target, wire)
        if target.sender == "celery":
            from lazyengine.dispatch.senders.celery import CelerySender

            return CelerySender(target, wire)
    except ImportError as error:
        extra = f"lazyengine[{target.sender}]"
        raise SettingsInvalid(reason=f"target '{target.name}' needs {error.name}: pip install '{extra}'") from error
    from lazyengine.dispatch.senders.http import HttpSender

    return HttpSender(target, settings, wire, outbound)
