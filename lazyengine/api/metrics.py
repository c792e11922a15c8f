"""Metrics for Prometheus: how requests fared, what waits in the database, what the processes of the service take.

Requests are counted where they are served: under gunicorn (`lazyengine.serving`) in a file of each worker, which
whichever worker is asked adds up.  What waits is read when somebody asks, so it is the same wherever they ask.
"""

import logging
import os
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, Metric, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from lazyengine.api.middleware import Environ
from lazyengine.api.request import ROUTE
from lazyengine.errors import LazyEngineError
from lazyengine.records import Overdue

if TYPE_CHECKING:
    from lazyengine.engine import Engine

LOG = logging.getLogger("lazyengine.api")
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
IS_SHARED = "PROMETHEUS_MULTIPROC_DIR" in os.environ
"""As prometheus_client decides it, when it is imported."""

OTHER = "other"
"""Stands for methods and paths that no operation has, of which there may be any number."""


class Metrics:
    """What the application counts, and what it tells."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._seconds = Histogram(
            "lazyengine_http_request_duration_seconds",
            "From the request to the head of its answer, waiting included.",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=None,
        )

    def observe(self, environ: Environ, status: str, seconds: float) -> None:
        """Count a request; cost: 5 µs. Whatever goes wrong here, the request has been answered."""
        route = environ.get(ROUTE)
        labels = (environ["REQUEST_METHOD"] if route else OTHER, route or OTHER, status)
        try:
            self._seconds.labels(*labels).observe(seconds)
        except OSError as error:  # of the file
            LOG.warning("a request is not counted: %s", error)

    def text(self) -> str:
        """Return all metrics in Prometheus' text format 0.0.4."""
        registry = CollectorRegistry()
        if IS_SHARED:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._seconds)
        registry.register(Waiting(self._engine))
        registry.register(Processes())
        return generate_latest(registry).decode()


class Waiting(Collector):
    """What waits in the database; without it, only that it does not answer."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        is_up = GaugeMetricFamily("lazyengine_database_up", "Whether the database answers, and has the schema.")
        try:
            backlog = self._engine.backlog()
        except LazyEngineError:
            is_up.add_metric((), 0)
            return [is_up]
        is_up.add_metric((), 1)
        now = self._engine.clock()
        waits = {
            ("outbox_due", "Rows of the outbox that are due, by what they are for", "kind"): backlog.outbox,
            ("tasks_on_offer", "Tasks that nobody has taken yet", "target"): backlog.offers,
            ("dead_letters", "Notifications that were given up", ""): {"": backlog.dead_letters},
            ("expired_leases", "Leases that a dispatcher has not ended yet", ""): {"": backlog.leases},
            ("overdue_alarms", "Delays and deadlines that a dispatcher has not noticed yet", ""): {"": backlog.alarms},
            ("lost_sendings", "Tasks that a dispatcher took and never sent", ""): {"": backlog.sendings},
        }
        return [is_up, *(family for (name, text, label), found in waits.items()
                         for family in _counted(name, text, label, found, now))]  # fmt: skip


def _counted(name: str, text: str, label: str, found: dict[str, Overdue], now: datetime) -> Iterable[Metric]:
    labels = (label,) if label else ()
    count = GaugeMetricFamily(f"lazyengine_{name}", f"{text}; counted up to 1000.", labels=labels)
    age = GaugeMetricFamily(f"lazyengine_{name}_oldest_seconds", f"{text}: the age of the oldest.", labels=labels)
    for value, one in found.items():
        values = (value,) if label else ()
        count.add_metric(values, one.count)
        age.add_metric(values, max(0.0, (now - one.since).total_seconds()) if one.since else 0.0)
    return count, age


class Processes(Collector):
    """What each process of the service takes, by its `pid`: the sum of counters would fall when one is replaced."""

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for pid in _pids():
            for one in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                family = families.setdefault(one.name, Metric(one.name, one.documentation, one.type))
                for sample in one.samples:
                    family.add_sample(sample.name, {"pid": pid}, sample.value)
        return families.values()


def _pids() -> list[str]:
    """Return this process or, where several share their metrics, the master and its workers."""
    if IS_SHARED:
        master = str(os.getppid())
        try:
            return [master, *Path(f"/proc/{master}/task/{master}/children").read_text().split()]
        except OSError:
            pass  # no Linux: nothing is told of others
    return [str(os.getpid())]
