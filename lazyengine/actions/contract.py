"""What passes between a worker and an action."""

import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lazyengine.errors import LazyEngineError
from lazyengine.outbound import Outbound


@dataclass(slots=True)
class Context:
    """What an action is told of its task, if its first parameter is named `context`.

    :param assignment: the document that the API hands out: execution_id, task, attempt, input, callback_url, …
    :param outbound: sends requests to where callers say
    :param cancelled: set once nobody waits for the result any more; a long action looks at it and returns
    :param progress: from 0 to 1; the action sets it, the next heartbeat tells it
    """

    assignment: Mapping[str, Any]
    outbound: Outbound
    cancelled: threading.Event = field(default_factory=threading.Event)
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """What an action returns that only began something: somebody else will complete the task, at its callback_url.

    :param seconds: the lease goes on for so long, at most a day; if it runs out, the task is lost as with any worker
    """

    seconds: float = 86_400.0


class ActionFailed(Exception):
    """A failure with more to it than a message: a word for programs, details, and a result all the same."""

    def __init__(self, message: str, type: str = "action.failed", details: Any = None, result: Any = None) -> None:
        super().__init__(message)
        self.type, self.details, self.result = type, details, result


Handler = Callable[[Context], dict[str, Any] | Later]
"""Does a task and returns the report on it, as the API takes it: `{"state": "SUCCESS", "result": …}`; or it raises."""


def handler_of(action: Callable[..., Any]) -> Handler:
    """Make a handler of an action: what it returns is the result."""
    wants_context = next(iter(inspect.signature(action).parameters), None) == "context"

    def handle(context: Context) -> dict[str, Any] | Later:
        input = context.assignment["input"]
        result = action(context, **input) if wants_context else action(**input)
        return result if isinstance(result, Later) else {"state": "SUCCESS", "result": result}

    return handle


def failure(error: BaseException) -> dict[str, Any]:
    """Return the report that an exception amounts to."""
    report: dict[str, Any] = {"type": type(error).__name__, "message": str(error)[:65_536], "details": None}
    if isinstance(error, ActionFailed):
        return {
            "state": "FAILURE",
            "failure": report | {"type": error.type, "details": error.details},
            "result": error.result,
        }
    if isinstance(error, LazyEngineError):
        report["type"] = error.code
    return {"state": "FAILURE", "failure": report}
