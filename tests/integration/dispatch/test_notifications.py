"""Callers hear of the end: signed, until they have answered, and by hand once that was given up."""

from dataclasses import replace

import pytest
from dispatching import SECRET, Endpoint, dispatching, eventually
from driving import OWNER, PAIR, STRANGER, document, done, started, state_of
from standardwebhooks import Webhook

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.engine import Engine
from lazyengine.records import NotificationQuery, Notify, Start
from lazyengine.settings import Settings

ALL = NotificationQuery()
DEAD = NotificationQuery(is_dead=True)
postgresql = pytest.mark.backends("postgresql")


def listed(engine: Engine, query: NotificationQuery = ALL) -> list[tuple[str, str, int]]:
    return [(one.url, one.state, one.tries) for one in engine.list_notifications(OWNER, query).items]


def test_the_end_is_told_once_with_what_it_came_to(engine: Engine, settings: Settings) -> None:
    """On every database; nothing is left of it."""
    signing = replace(settings, webhook_secrets=SECRET)
    with Endpoint(lambda event: (204, None)) as endpoint, dispatching(signing):
        wanted = (Notify(endpoint.url), Notify(endpoint.url + "/failed", ("failed",)))
        id = started(engine, PAIR, workflow={"output": {"k": 1}}, notify=wanted)
        done(engine, id, "a", "b")
        eventually(lambda: endpoint.requests and not listed(engine))
    ((headers, body),) = endpoint.requests
    event = Webhook(SECRET).verify(body, headers)
    assert (event["type"], event["source"]) == ("lazyengine.execution.finished", f"/executions/{id}")
    assert event["data"] == {
        "id": id, "workflow": "w", "state": "SUCCESS", "state_info": None, "output": {"k": 1}, "generation": 3,
    }  # fmt: skip


@postgresql
def test_what_else_can_be_told(engine: Engine, settings: Settings) -> None:
    """A suspension, once it has come to that; and one wish for several events is told once of each."""
    with Endpoint() as endpoint, dispatching(settings):
        id = started(engine, PAIR, notify=(Notify(endpoint.url, ("suspended", "failed", "finished")),))
        engine.update_execution(OWNER, id, state=ExecutionState.SUSPENDED)
        done(engine, id, "a")  # only now nothing is under way
        eventually(lambda: len(endpoint.requests) == 1)
        engine.update_execution(OWNER, id, state=ExecutionState.RUNNING)
        done(engine, id, "b")
        eventually(lambda: len(endpoint.requests) == 2)
    states = [(event["type"].rpartition(".")[2], event["data"]["state"]) for event in endpoint.events]
    assert states == [("suspended", "SUSPENDED"), ("finished", "SUCCESS")]


@postgresql
def test_executions_below_are_not_told_of(engine: Engine, settings: Settings) -> None:
    """The wish is for the one that was started."""
    tasks = {"a": {"workflow": "inner"}}
    with Endpoint() as endpoint, dispatching(settings):
        definition = document(tasks) | {"inner": {"tasks": {"x": {"action": "std.noop"}}}}
        start = Start(definition, "digest", workflow="w", notify=(Notify(endpoint.url),))
        id = engine.start_execution(OWNER, start).execution.id
        eventually(lambda: endpoint.requests)
        eventually(lambda: not listed(engine))
    assert [event["data"]["id"] for event in endpoint.events] == [id]


def test_it_is_tried_again_until_it_is_given_up_and_can_be_replayed(engine: Engine, settings: Settings) -> None:
    """On every database: the dead letter says why, only its owner sees it, and replaying it tells it once more."""
    answers = [500]
    with Endpoint(lambda event: (answers[0], None)) as endpoint:
        with dispatching(replace(settings, notification_seconds=3.0)):
            id = started(engine, {"a": None}, notify=(Notify(endpoint.url),))
            done(engine, id, "a")
            eventually(lambda: listed(engine, DEAD))
            assert len(endpoint.requests) >= 2
            assert len({headers["webhook-id"] for headers, _ in endpoint.requests}) == 1
            (one,) = engine.list_notifications(OWNER, DEAD).items
            assert (one.execution_id, one.error, one.tries) == (id, "it answered 500", len(endpoint.requests))
            assert engine.list_notifications(STRANGER, ALL).items == ()
            with pytest.raises(errors.NotificationNotFound):
                engine.replay_notification(STRANGER, one.id)
            answers[0] = 200
            assert engine.replay_notification(OWNER, one.id).state == "pending"
            eventually(lambda: not listed(engine))
        with pytest.raises(errors.NotificationNotFound):
            engine.replay_notification(OWNER, one.id)


@postgresql
def test_a_place_that_is_away_delays_only_its_own(engine: Engine, settings: Settings) -> None:
    """Those for a closed port, and for URLs that nobody can read, stand before those for one that answers."""
    with Endpoint() as endpoint, dispatching(settings):
        for url in ["http://[", "http://[x]:y/", "http://127.0.0.1:1/x"] * 20 + [endpoint.url] * 50:
            done(engine, started(engine, {"a": None}, notify=(Notify(url),)), "a")
        eventually(lambda: len(endpoint.requests) == 50, 10)
        eventually(lambda: len(listed(engine)) == 60)


@postgresql
def test_a_page_after_the_other(engine: Engine) -> None:
    """By id, the oldest first."""
    for n in range(5):
        done(engine, started(engine, {"a": None}, notify=(Notify(f"https://h/{n}"),)), "a")
    first = engine.list_notifications(OWNER, NotificationQuery(limit=3))
    rest = engine.list_notifications(OWNER, NotificationQuery(limit=3, marker=first.items[-1].id))
    assert [one.url[-1] for one in (*first.items, *rest.items)] == list("01234")
    assert (first.more, rest.more) == (True, False)
    assert state_of(engine, first.items[0].execution_id) == "SUCCESS"
