"""The service itself: what it speaks, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyengine.api import VERSION, answers
from lazyengine.api.listing import Link
from lazyengine.api.operation import operation
from lazyengine.api.request import Request
from lazyengine.api.types import JSON_OBJECT
from lazyengine.errors import DatabaseBusy, DatabaseUnavailable, MetricsNotInstalled, SchemaNotReady

if TYPE_CHECKING:
    from lazyengine.api.metrics import Metrics
    from lazyengine.engine import Engine


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the API."""

    id: str
    status: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of the API."""

    name: str
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """How the service stands."""

    status: str


class Service:
    """The controller of what is about no execution."""

    def __init__(self, engine: "Engine", document: Mapping[str, Any], metrics: "Metrics | None") -> None:
        self._engine = engine
        self._document = document
        self._metrics = metrics

    @operation("GET", "/", answers.Versions, open=True)
    def get_versions(self, request: Request) -> Versions:
        """Tell which versions of the API there are."""
        here = request.application_url
        links = (Link("self", f"{here}/"), Link("describedby", f"{here}/openapi.json"))
        return Versions("lazyengine", (Version(f"v{VERSION}", "CURRENT", links),))

    @operation("GET", "/openapi.json", JSON_OBJECT, open=True)
    def get_openapi(self, request: Request) -> Mapping[str, Any]:
        """Give the OpenAPI document of the API."""
        return self._document

    @operation("GET", "/healthz", answers.Health, open=True)
    def get_health(self, request: Request) -> Health:
        """Tell that the process is up."""
        return Health("ok")

    @operation("GET", "/readyz", answers.Health, errors=(DatabaseBusy, DatabaseUnavailable, SchemaNotReady), open=True)
    def get_readiness(self, request: Request) -> Health:
        """Tell whether the database can be reached and has the schema that is needed."""
        self._engine.check_ready()
        return Health("ready")

    @operation("GET", "/metrics", "text/plain; version=0.0.4", errors=(MetricsNotInstalled,))
    def get_metrics(self, request: Request) -> str:
        """Tell how the service fares, for Prometheus.

        It speaks of what all owners do, so any token will do.
        """
        if self._metrics is None:
            raise MetricsNotInstalled()
        return self._metrics.text()
