"""The WSGI application: what a request passes through, in which order."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pecan.core import ExplicitPecan
from webob import Response

from lazyengine.api import openapi
from lazyengine.api.callbacks import CallbackReports
from lazyengine.api.claims import Claims
from lazyengine.api.events import Events
from lazyengine.api.executions import Executions
from lazyengine.api.graphs import Graphs
from lazyengine.api.middleware import App, authentication, body_limit, log_access, observed, request_ids
from lazyengine.api.notifications import Notifications
from lazyengine.api.operation import Operation, operations_of
from lazyengine.api.problems import Problems
from lazyengine.api.request import Request
from lazyengine.api.root import Root
from lazyengine.api.service import Service
from lazyengine.api.tasks import Tasks
from lazyengine.api.waiting import Waiting
from lazyengine.api.workflows import Workflows
from lazyengine.auth import Authenticator
from lazyengine.callbacks import Callbacks
from lazyengine.settings import Settings

if TYPE_CHECKING:
    from lazyengine.api.metrics import Metrics
    from lazyengine.engine import Engine

CONTROLLERS = (Executions, Graphs, Events, Tasks, CallbackReports, Claims, Workflows, Notifications, Service)


def operations() -> list[Operation]:
    """List every operation of the API."""
    return [operation for controller in CONTROLLERS for operation, _ in operations_of(controller)]


@cache
def document() -> Mapping[str, Any]:
    """Return the OpenAPI document of the API."""
    return openapi.document(operations())


class Dispatch(ExplicitPecan):  # type: ignore[misc]
    """Pecan for operations, which take segments of the path and return a response.

    Pecan would read the signatures of the router and of the operation at each request, to fit arguments to them: 175
    of the 344 microseconds of CPU that a PUT took outside the engine (measured in one run on one process).  Nor does it
    choose a type of the answer by the path and by `Accept`: 21 thousand instructions.  Nor is a response made before
    there is something to answer, or an answer read to see whether it is empty: another 15 microseconds.
    """

    def find_controller(self, state: Any) -> tuple[Any, list[Any], dict[str, Any]]:
        state.controller, segments = self.root._route([], state.request)
        return state.controller, [state.request, state.response, *segments], {}

    def invoke_controller(self, controller: Any, args: list[Any], kwargs: Any, state: Any) -> None:
        response: Response = controller(*args)
        state.response = response

    def _handle_empty_response_body(self, state: Any) -> None:
        """Leave an answer as the operation made it."""


def make_app(engine: "Engine", settings: Settings) -> App:
    """Put the application together, inside out: a request passes the last line first.

    :raises SettingsInvalid: the tokens do not make sense
    """
    # Where requests cannot be parked, whoever waits leaves at least half of the threads to those who work.
    waiting = Waiting(engine, settings.threads // 2)
    callbacks = Callbacks(settings, engine.signing_keys)
    metrics = _metrics(engine)
    controllers = (
        Executions(engine, waiting, callbacks),
        Graphs(engine),
        Events(engine, waiting),
        Tasks(engine, callbacks),
        CallbackReports(engine, callbacks),
        Claims(engine, waiting, callbacks),
        Workflows(engine),
        Notifications(engine),
        Service(engine, document(), metrics),
    )
    root = Root(controllers)
    open_paths = frozenset(operation.path for operation in operations() if operation.open)
    # Pecan's own make_app would put two middlewares and the process-wide configuration around this.
    app: App = Dispatch(root, request_cls=Request, response_cls=type(None), guess_content_type_from_ext=False)
    app = authentication(app, Authenticator(settings), open_paths)
    app = body_limit(app, settings.max_body_bytes)
    app = Problems(app)
    app = observed(app, log_access, *([] if metrics is None else [metrics.observe]))
    return request_ids(app)


def _metrics(engine: "Engine") -> "Metrics | None":
    """Make the metrics, which need an extra."""
    try:
        from lazyengine.api.metrics import Metrics
    except ImportError:
        return None
    return Metrics(engine)
