"""Notifications that were not delivered yet, or were given up."""

from typing import TYPE_CHECKING

from lazyengine.api import answers
from lazyengine.api.executions import DATABASE
from lazyengine.api.listing import DEFAULT_LIMIT, LIMIT, MAX_LIMIT, Listing, listing
from lazyengine.api.operation import Parameter, Segment, operation
from lazyengine.api.request import Request
from lazyengine.api.types import Choice, Integer
from lazyengine.errors import NotificationNotFound
from lazyengine.records import Notification, NotificationQuery

if TYPE_CHECKING:
    from lazyengine.engine import Engine

ID = Integer(0, 2**63 - 1)

NOTIFICATION_ID = Segment(
    "notification_id",
    ID,
    "The notification.",
    absent=lambda texts: NotificationNotFound(notification_id=texts["notification_id"]),
)
LIST_PARAMETERS = (
    Parameter("state", Choice({"pending": False, "dead": True}), "Those that wait, or those that were given up."),
    LIMIT,
    Parameter("marker", ID, "The last notification of the page before."),
)


class Notifications:
    """The controller of notifications."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    @operation("GET", "/notifications", answers.NotificationList, parameters=LIST_PARAMETERS, errors=DATABASE)
    def list_notifications(
        self, request: Request, state: bool | None = None, limit: int = DEFAULT_LIMIT, marker: int | None = None
    ) -> Listing:
        """List the notifications that were not delivered, the oldest first.

        What was delivered is not kept.
        """
        query = NotificationQuery(state, min(limit, MAX_LIMIT), marker)
        return listing(request, self._engine.list_notifications(request.owner, query), lambda one: str(one.id))

    @operation(
        "POST",
        "/notifications/{notification_id}/replay",
        answers.Notification,
        segments=(NOTIFICATION_ID,),
        errors=(NotificationNotFound, *DATABASE),
    )
    def replay_notification(self, request: Request, notification_id: int) -> Notification:
        """Send a notification at once, with all its tries before it."""
        return self._engine.replay_notification(request.owner, notification_id)
