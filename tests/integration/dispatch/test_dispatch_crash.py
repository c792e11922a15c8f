"""Dispatchers in processes of their own: killed, several at a time, ended by a signal, without their database."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dispatching import Endpoint, Inbox, Process, dispatching, eventually
from driving import OWNER, done, started, state_of, success
from sqlalchemy import update

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.sending import take
from lazyengine.engine import Engine
from lazyengine.records import Claim
from lazyengine.settings import Settings
from lazyengine.targets import Targets

ONE = {"a": {"action": "x.y", "target": "hook"}}


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start dispatchers that end with the test."""
    running: list[Process] = []

    def start(settings: Settings, **environ: str) -> Process:
        running.append(Process(tmp_path, settings, **environ))
        return running[-1]

    yield start
    for process in running:
        process.kill()


def overdue(engine: Engine) -> None:
    """Let the leases of dispatchers have run out."""
    with engine.database.engine.begin() as connection:
        past = engine.clock().replace(year=2020)
        changed = update(t.mark).where(t.mark.c.resend_at.is_not(None))
        connection.execute(changed.values(resend_at=past))


@pytest.mark.backends("postgresql", "mysql")
def test_killed_while_it_sends(engine: Engine, settings: Settings, processes: Callable[..., Process]) -> None:
    """SIGKILL between claim and confirmation: the same attempt is sent again, and only one answer counts."""
    held = threading.Event()

    def answer(event: object) -> tuple[int, object]:
        if not held.is_set():
            held.set()
            time.sleep(3)
        return 202, None

    with Endpoint(answer) as endpoint:
        settings = replace(settings, targets=Targets({"hook": {"sender": "http", "url": endpoint.url}}))
        first = processes(settings)
        id = started(engine, ONE)
        assert held.wait(20)
        first.kill()
        task = engine.get_task(OWNER, id, "a")
        assert task.claimed_by.startswith("dispatch:")
        assert not engine.claim_tasks(OWNER, Claim("w", ("hook",)))
        overdue(engine)
        processes(settings)
        eventually(lambda: len(endpoint.requests) == 2)
        eventually(lambda: engine.get_task(OWNER, id, "a").claimed_by is None)
    assert [event["data"]["attempt"] for event in endpoint.events] == [1, 1]
    assert len({headers["webhook-id"] for headers, _ in endpoint.requests}) == 1
    assert not engine.complete_task(OWNER, id, success("a", 1, attempt=1)).replayed
    with pytest.raises(errors.TaskAlreadyCompleted):
        engine.complete_task(OWNER, id, success("a", 2, attempt=1))


def test_what_a_dead_dispatcher_held_is_not_sent_once_it_is_over(engine: Engine, settings: Settings) -> None:
    """On every database: the receiver had it and reported; then the lease of the dead one runs out."""
    ids = [started(engine, ONE) for _ in range(3)]
    now = engine.clock()
    errands = engine.database.transaction(
        lambda store: take(store, "hook", "dispatch:dead:1", 10, now, now.replace(year=now.year + 1))
    )
    assert sorted(errand.assignment.execution_id for errand in errands) == sorted(ids)
    done(engine, ids[0], "a")
    engine.update_execution(OWNER, ids[1], state="CANCELLED")
    overdue(engine)
    with Endpoint() as endpoint, dispatching(settings, hook={"sender": "http", "url": endpoint.url}):
        eventually(lambda: endpoint.requests)
        time.sleep(0.5)
    assert [event["data"]["execution_id"] for event in endpoint.events] == [ids[2]]
    assert engine.get_task(OWNER, ids[1], "a").claimed_by is None


@pytest.mark.backends("postgresql", "mysql")
def test_two_dispatchers_and_four_workers(
    engine: Engine, settings: Settings, rabbitmq: str, queue: str, processes: Callable[..., Process]
) -> None:
    """Each attempt is delivered once, whichever way it goes: pushed to two kinds of destination, or pulled."""
    tasks = {"p": {"target": "q", "on-success": "h"}, "h": {"target": "hook", "on-success": "w"}, "w": None}
    got: Counter[tuple[str, str, int]] = Counter()
    lock = threading.Lock()
    over = threading.Event()

    def note(one: dict[str, object]) -> None:
        with lock:
            got[one["execution_id"], one["task"], one["attempt"]] += 1

    def answer(event: dict[str, object]) -> tuple[int, object]:
        note(event["data"])
        return 200, {"state": "SUCCESS"}

    def pull(name: str) -> None:
        while not over.is_set():
            for one in engine.claim_tasks(OWNER, Claim(name, limit=5)):
                note({"execution_id": one.execution_id, "task": one.task, "attempt": one.attempt})
                done(engine, one.execution_id, one.task)
            time.sleep(0.01)

    with Endpoint(answer) as endpoint, Inbox(rabbitmq, queue) as inbox:

        def consume() -> None:
            while not over.is_set():
                message = inbox.get()
                if message is None:
                    time.sleep(0.01)
                    continue
                note(message.payload)
                done(engine, message.payload["execution_id"], "p")

        targets = {
            "q": {"sender": "amqp", "url": rabbitmq, "queue": queue},
            "hook": {"sender": "http", "url": endpoint.url, "concurrency": 2},
        }
        for _ in range(2):
            processes(replace(settings, targets=Targets(targets)))
        threads = [threading.Thread(target=pull, args=(f"w{n}",)) for n in range(4)]
        threads.append(threading.Thread(target=consume))
        for thread in threads:
            thread.start()
        try:
            ids = [started(engine, tasks) for _ in range(60)]
            eventually(lambda: all(state_of(engine, id) == "SUCCESS" for id in ids), 90)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert got == {(id, task, 1): 1 for id in ids for task in "phw"}


@pytest.mark.backends("postgresql")
def test_sigterm_finishes_what_it_holds(engine: Engine, settings: Settings, processes: Callable[..., Process]) -> None:
    """And it ends with status 0."""
    held = threading.Event()

    def answer(event: object) -> tuple[int, object]:
        held.set()
        time.sleep(1)
        return 200, {"state": "SUCCESS"}

    with Endpoint(answer) as endpoint:
        process = processes(replace(settings, targets=Targets({"hook": {"sender": "http", "url": endpoint.url}})))
        id = started(engine, ONE)
        assert held.wait(20)
        assert process.stop() == 0, process.text()
    assert state_of(engine, id) == "SUCCESS"


@pytest.mark.backends("postgresql")
def test_without_its_database_it_waits(tmp_path: Path, processes: Callable[..., Process], settings: Settings) -> None:
    """It does not end; it says why it waits."""
    process = processes(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    eventually(lambda: "the dispatcher waits" in process.text())
    assert process.process.poll() is None
    assert process.stop() == 0
