"""Tasks as signed webhooks to real HTTP servers."""

import pytest
from dispatching import OLD_SECRET, SECRET, Endpoint, dispatching, eventually
from driving import OWNER, done, started, state_of
from sqlalchemy import select
from standardwebhooks import Webhook, WebhookVerificationError

from lazyengine.db.tables import mark
from lazyengine.engine import Engine
from lazyengine.settings import Settings

ONE = {"a": {"action": "x.y", "target": "hook", "input": {"k": 1}}}


def target(url: str, **more: object) -> dict[str, object]:
    return {"sender": "http", "url": url, **more}


def test_an_answer_with_a_report_completes_the_task(engine: Engine, settings: Settings) -> None:
    """On every database: the report is that of a PUT; a chain runs through without anybody else."""
    tasks = {"a": {"target": "hook", "on-success": "b"}, "b": {"target": "hook"}}
    with (
        Endpoint(lambda event: (200, {"state": "SUCCESS", "result": event["data"]["task"]})) as endpoint,
        dispatching(settings, hook=target(endpoint.url)),
    ):
        id = started(engine, tasks)
        eventually(lambda: state_of(engine, id) == "SUCCESS")
    assert [event["data"]["task"] for event in endpoint.events] == ["a", "b"]
    assert engine.get_task(OWNER, id, "b").result == "b"


@pytest.mark.backends("postgresql")
def test_it_is_a_signed_cloud_event(engine: Engine, settings: Settings) -> None:
    """Verified by the library of Standard Webhooks, with the new secret and the old one; not with another."""
    import dataclasses

    signing = dataclasses.replace(settings, webhook_secrets=f"{SECRET} {OLD_SECRET}")
    traceparent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    with Endpoint() as endpoint, dispatching(signing, hook=target(endpoint.url)):
        id = started(engine, ONE, traceparent=traceparent)
        eventually(lambda: endpoint.requests)
        eventually(lambda: engine.get_task(OWNER, id, "a").claimed_by is None)
        assert state_of(engine, id) == "RUNNING"
        done(engine, id, "a")
    headers, body = endpoint.requests[0]
    event = Webhook(SECRET).verify(body, headers)
    assert Webhook(OLD_SECRET).verify(body, headers) == event
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, headers)
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert headers["traceparent"] == traceparent
    assert (event["specversion"], event["type"]) == ("1.0", "lazyengine.assignment")
    assert (event["source"], event["subject"]) == (f"/executions/{id}", "a")
    assert event["id"] == headers["webhook-id"] == f"{id}.0.1.-1.1"
    assert event["data"]["input"] == {"k": 1}


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": "FAILURE", "failure": {"type": "t", "message": "m"}}, "FAILURE"),
        ({"state": "DONE"}, "FAILURE"),
        ({"state": "SUCCESS", "results": 1}, "FAILURE"),
        ({"ok": True}, "RUNNING"),
        (["state"], "RUNNING"),
        ({"state": "RUNNING"}, "RUNNING"),
    ],
)
def test_what_an_answer_means(engine: Engine, settings: Settings, said: object, state: str) -> None:
    """A report ends the task, a bad one fails it; anything else has only taken it."""
    with Endpoint(lambda event: (200, said)) as endpoint, dispatching(settings, hook=target(endpoint.url)):
        id = started(engine, ONE)
        eventually(lambda: endpoint.requests)
        eventually(lambda: engine.get_task(OWNER, id, "a").claimed_by is None)
        eventually(lambda: state_of(engine, id) == state)
    assert len(endpoint.requests) == 1


@pytest.mark.backends("postgresql")
def test_an_error_is_tried_again(engine: Engine, settings: Settings) -> None:
    """The same attempt, after growing pauses."""
    statuses = iter((500, 503, 404, 200))
    with (
        Endpoint(lambda event: (next(statuses), {"state": "SUCCESS"})) as endpoint,
        dispatching(settings, hook=target(endpoint.url)),
    ):
        id = started(engine, ONE)
        eventually(lambda: state_of(engine, id) == "SUCCESS")
    assert {event["data"]["attempt"] for event in endpoint.events} == {1}
    assert len(endpoint.events) == 4


def test_a_destination_that_is_down_delays_only_its_own(engine: Engine, settings: Settings) -> None:
    """On every database: a closed port beside one that answers."""
    with Endpoint(lambda event: (200, {"state": "SUCCESS"})) as endpoint:
        targets = {"dead": target("http://127.0.0.1:1/"), "hook": target(endpoint.url)}
        with dispatching(settings, **targets):
            dead = [started(engine, {"a": {"target": "dead"}}) for _ in range(20)]
            alive = [started(engine, ONE) for _ in range(20)]
            eventually(lambda: all(state_of(engine, id) == "SUCCESS" for id in alive), 10)
            assert all(state_of(engine, id) == "RUNNING" for id in dead)


@pytest.mark.backends("postgresql")
def test_several_at_a_time(engine: Engine, settings: Settings) -> None:
    """With `concurrency`, an endpoint that takes its time has several tasks at once."""
    import threading

    together = threading.Barrier(4)

    def answer(event: object) -> tuple[int, object]:
        together.wait(10)
        return 200, {"state": "SUCCESS"}

    with Endpoint(answer) as endpoint, dispatching(settings, hook=target(endpoint.url, concurrency=4)):
        ids = [started(engine, ONE) for _ in range(8)]
        eventually(lambda: all(state_of(engine, id) == "SUCCESS" for id in ids))
    assert len(endpoint.requests) == 8


@pytest.mark.parametrize(("status", "retries"), [(404, 1), (503, 0), (None, 0)])
def test_who_refuses_for_ever_fails_the_task(
    engine: Engine, settings: Settings, status: int | None, retries: int
) -> None:
    """On every database: by a status, or a closed port (None); on-error goes on, and each retry has the time anew."""
    retry = {"retry": {"count": retries, "delay": 0}} if retries else {}
    tasks = {"a": {"target": "hook", "on-error": "b"} | retry, "b": {}}
    with Endpoint(lambda event: (status or 200, None)) as endpoint:
        url = endpoint.url if status else "http://127.0.0.1:1/"
        with dispatching(settings, hook=target(url, sending_seconds=0.7)):
            id = started(engine, tasks)
            eventually(lambda: engine.get_task(OWNER, id, "b").state == "RUNNING")
    task = engine.get_task(OWNER, id, "a")
    assert (task.state, task.attempt) == ("FAILURE", 1 + retries)
    assert task.failure is not None
    assert task.failure.type == "dispatch"
    assert task.failure.message.startswith("it could not be sent to target 'hook' since 20")
    if status:
        assert task.failure.message.endswith(f"it answered {status}")
        assert {event["data"]["attempt"] for event in endpoint.events} == {1, 1 + retries}
    done(engine, id, "b")
    assert state_of(engine, id) == "SUCCESS"


@pytest.mark.backends("postgresql")
def test_what_was_sent_after_all_starts_anew(engine: Engine, settings: Settings) -> None:
    """Who takes a task late has it, however long that took; the time that it took is forgotten."""
    statuses = iter((500, 202))
    with (
        Endpoint(lambda event: (next(statuses), None)) as endpoint,
        dispatching(settings, hook=target(endpoint.url, sending_seconds=0.001)),
    ):
        id = started(engine, ONE)
        eventually(lambda: len(endpoint.events) == 2)
        eventually(lambda: engine.get_task(OWNER, id, "a").claimed_by is None)
    with engine.database.engine.connect() as connection:
        assert connection.execute(select(mark.c.sends, mark.c.unsent_since)).one() == (None, None)
    assert state_of(engine, id) == "RUNNING"
