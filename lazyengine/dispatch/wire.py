"""What the API says of a task, as the dispatcher has to say it too: the API has the words, and lends them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lazyengine.records import Assignment, Errand, Heartbeat, Report


@dataclass(frozen=True, slots=True)
class Wire:
    """The form in which tasks and reports travel.

    :param write: the document of an assignment, for its owner
    :param encode: the JSON text of a document, in ASCII
    :param read: a report on an assignment from the body of an answer; it raises `RequestInvalid` where that is none
    """

    write: Callable[[str, Assignment], dict[str, Any]]
    encode: Callable[[Any], str]
    read: Callable[[Assignment, bytes], Report | Heartbeat]

    def document(self, errand: Errand) -> dict[str, Any]:
        """Return what is told of a task."""
        return self.write(errand.owner, errand.assignment)
