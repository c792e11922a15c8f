"""`GET /metrics`: what it tells, read by Prometheus' own parser."""

import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from checked_app import DIAMOND, CheckedApp
from prometheus_client.parser import text_string_to_metric_families

from lazyengine.api.app import make_app
from lazyengine.db.backlog import MOST
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

REQUESTS = "lazyengine_http_request_duration_seconds_count"
OWN = {"a": {"target": "mine"}}


def samples(api: CheckedApp, **options: object) -> dict[tuple[str, frozenset[str]], float]:
    """Return the value of each sample by its name and the values of its labels."""
    text = api.get("/metrics", **options).text
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: dict[tuple[str, frozenset[str]], float], name: str, *labels: str) -> float | None:
    return found.get((name, frozenset(labels)))


@pytest.mark.backends("sqlite")
def test_requests_are_counted_by_route_and_status(api: CheckedApp, start) -> None:
    """Ids and names of callers, and methods and paths that there are none of, make no series."""
    for _ in range(3):
        start()
    for path in ("/executions/00000000-0000-4000-8000-000000000000", "/executions/x"):
        api.get(path, status=404)
    for path in ("/nothing", "/nothing/else"):
        api.get(path, status=404)
    api.request("/executions", method="PATCH", status=405)
    found = samples(api)
    assert of(found, REQUESTS, "POST", "/executions", "201") == 3
    assert of(found, REQUESTS, "GET", "/executions/{execution_id}", "404") == 2
    assert of(found, REQUESTS, "other", "404") == 2
    assert of(found, REQUESTS, "other", "405") == 1
    assert of(samples(api), REQUESTS, "GET", "/metrics", "200") == 1
    assert of(found, "process_resident_memory_bytes", next(iter(_pids(found)))) > 1e6


def _pids(found: dict[tuple[str, frozenset[str]], float]) -> Iterator[str]:
    return (next(iter(labels)) for name, labels in found if name == "process_resident_memory_bytes")


def test_what_waits_is_told_from_the_database(api: CheckedApp, engine: Engine, settings: Settings, start) -> None:
    """On every database, and the same from any process: another application tells it too."""
    start({"w": {"tasks": OWN}})
    for _ in range(2):
        start({"w": {"tasks": {"a": {"target": "other"}}}})
    ended = start({"w": {"tasks": {"a": {}}}}, notify=[{"url": "https://h/"}])
    api.put_json(f"/executions/{ended}/tasks/a", {"state": "SUCCESS"})
    api.post_json("/tasks/claim", {"worker": "w", "targets": ["other"], "lease_seconds": 0.001})
    late = Engine(engine.database, settings, clock=lambda: now + timedelta(seconds=60))
    now = engine.clock()
    found = samples(CheckedApp(make_app(late, settings)))
    assert of(found, "lazyengine_database_up") == 1
    assert of(found, "lazyengine_tasks_on_offer", "mine") == 1
    assert of(found, "lazyengine_tasks_on_offer", "other") == 1
    assert 59 < (of(found, "lazyengine_tasks_on_offer_oldest_seconds", "mine") or 0) < 70
    assert of(found, "lazyengine_outbox_due", "notify") == 1
    assert 59 < (of(found, "lazyengine_outbox_due_oldest_seconds", "notify") or 0) < 70
    assert of(found, "lazyengine_outbox_due", "carry_on") == 0
    assert of(found, "lazyengine_expired_leases") == 1
    assert of(found, "lazyengine_dead_letters") == 0
    assert of(found, "lazyengine_overdue_alarms") == 0


@pytest.mark.backends("sqlite")
def test_counting_has_an_end(api: CheckedApp, start) -> None:
    tasks = {f"t{n}": {"target": "mine"} for n in range(MOST + 10)}
    start({"w": {"tasks": tasks}})
    assert of(samples(api), "lazyengine_tasks_on_offer", "mine") == MOST


def test_a_database_that_is_away_is_a_fact_and_no_error(tmp_path) -> None:
    """Requests are told of all the same, so that somebody sees what is wrong."""
    settings = Settings(database_url="postgresql://127.0.0.1:1/none", busy_timeout_seconds=0.1)
    api = CheckedApp(make_app(Engine(Database(settings), settings), settings))
    api.get("/readyz", status=503)
    found = samples(api)
    assert of(found, "lazyengine_database_up") == 0
    assert of(found, REQUESTS, "GET", "/readyz", "503") == 1
    assert not any(name.startswith("lazyengine_tasks") for name, _ in found)


@pytest.mark.backends("sqlite")
def test_it_takes_a_token_where_there_are_some(engine: Engine, settings: Settings) -> None:
    values = {"database_url": settings.database_url, "auth_tokens": "alice:secret prometheus:t0ken"}
    api = CheckedApp(make_app(engine, Settings(**values)))
    assert api.get("/metrics", status=401).json["code"] == "authentication.required"
    assert of(samples(api, headers={"Authorization": "Bearer t0ken"}), REQUESTS, "other", "401") == 1


@pytest.mark.backends("sqlite")
def test_without_the_extra_it_says_which(engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is served as ever."""
    monkeypatch.delitem(sys.modules, "lazyengine.api.metrics")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    api = CheckedApp(make_app(engine, settings))
    problem = api.get("/metrics", status=501).json
    assert problem["code"] == "metrics.not_installed"
    assert "lazyengine[metrics]" in problem["detail"]
    api.post_json("/executions", {"definition": DIAMOND}, status=201)
    api.get("/metrics", headers={"Accept": "application/json"}, status=406)
