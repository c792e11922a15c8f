"""Tasks through real brokers."""

import json
import socket
import threading
from collections.abc import Iterator

import kombu
import pytest
from dispatching import Inbox, dispatching, eventually
from driving import OWNER, PAIR, claim, done, started, state_of, success

from lazyengine.api.answers import Assignment
from lazyengine.api.writing import writer
from lazyengine.engine import Engine
from lazyengine.records import Claim
from lazyengine.settings import Settings

PUSHED = {
    "a": {"action": "x.y", "target": "gpu", "input": {"k": "ü\0"}, "on-success": "b"},
    "b": {"target": "gpu"},
}
postgresql = pytest.mark.backends("postgresql")


def test_a_task_arrives_as_a_claim_would_show_it(
    engine: Engine, settings: Settings, broker: str, queue: str, inbox: Inbox
) -> None:
    """With the attempt, and its successor follows; on every database and broker."""
    pulled = started(engine, {"a": {**PUSHED["a"], "target": "pulled"}, "b": None})
    (claimed,) = engine.claim_tasks(OWNER, Claim("w", ("pulled",)))
    with dispatching(settings, gpu={"sender": "amqp", "url": broker, "queue": queue}):
        id = started(engine, PUSHED)
        (first,) = inbox.wait()
        expected = json.loads(json.dumps(writer(Assignment)(claimed)))
        different = {"execution_id", "target", "lease_expires_at", "callback_url"}
        assert {k: v for k, v in first.items() if k not in different} == {
            k: v for k, v in expected.items() if k not in different
        }
        assert (first["execution_id"], first["target"]) == (id, "gpu")
        assert first["callback_url"].startswith("http://127.0.0.1:8989/callbacks/")
        eventually(lambda: engine.get_task(OWNER, id, "a").claimed_by is None)
        engine.complete_task(OWNER, id, success("a", attempt=first["attempt"]))
        (second,) = inbox.wait()
        assert second["task"] == "b"
        done(engine, id, "b")
    assert state_of(engine, id) == "SUCCESS"
    assert state_of(engine, pulled) == "RUNNING"


def test_a_target_without_an_entry_is_pulled(engine: Engine, settings: Settings) -> None:
    """The dispatcher leaves it alone."""
    with dispatching(settings, gpu={"sender": "http", "url": "http://127.0.0.1:1/"}):
        started(engine, PAIR)
        assert claim(engine) == ["a"]


@postgresql
def test_rabbitmq_keeps_it(engine: Engine, settings: Settings, rabbitmq: str, queue: str) -> None:
    """The queue is durable, the message persistent, and it names the attempt."""
    with (
        dispatching(settings, gpu={"sender": "amqp", "url": rabbitmq, "queue": queue}),
        Inbox(rabbitmq, queue) as inbox,
    ):
        id = started(engine, PUSHED)
        message = eventually(inbox.get)
    assert message.properties["delivery_mode"] == 2
    assert message.properties["message_id"] == f"{id}.0.1.-1.1"
    assert message.content_type == "application/json"


@postgresql
def test_with_a_lease_the_target_holds_it(engine: Engine, settings: Settings, rabbitmq: str, queue: str) -> None:
    """So it is noticed when it gets lost behind the broker."""
    target = {"sender": "amqp", "url": rabbitmq, "queue": queue, "lease_seconds": 60}
    with Inbox(rabbitmq, queue) as inbox, dispatching(settings, gpu=target):
        id = started(engine, PUSHED)
        inbox.wait()
        task = eventually(lambda: (one := engine.get_task(OWNER, id, "a")).claimed_by == "gpu" and one)
    assert task.lease_expires_at is not None


class Proxy:
    """A TCP proxy whose connections a test can cut."""

    def __init__(self, port: int) -> None:
        self.port, self.pairs = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port))
            self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self) -> None:
        for pair in self.pairs:
            for end in pair:
                end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.pairs.clear()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy(5672)
    yield proxy
    proxy.listener.close()
    proxy.cut()


@postgresql
def test_a_connection_that_is_lost_is_made_again(
    engine: Engine, settings: Settings, rabbitmq: str, queue: str, proxy: Proxy
) -> None:
    """Each time between two tasks: all arrive."""
    url = f"amqp://guest:guest@127.0.0.1:{proxy.address[1]}//"
    with Inbox(rabbitmq, queue) as inbox, dispatching(settings, gpu={"sender": "amqp", "url": url, "queue": queue}):
        for _ in range(3):
            id = started(engine, PUSHED)
            assert [one["execution_id"] for one in inbox.wait()] == [id]
            eventually(lambda id=id: engine.get_task(OWNER, id, "a").claimed_by is None)
            proxy.cut()


@postgresql
def test_what_the_broker_refuses_is_tried_again_later(
    engine: Engine, settings: Settings, rabbitmq: str, queue: str
) -> None:
    """A queue of that name that is not durable: until somebody puts that right."""
    with kombu.Connection(rabbitmq) as connection:
        wrong = kombu.Queue(queue, durable=False, auto_delete=False)(connection.channel())
        wrong.declare()
        with dispatching(settings, gpu={"sender": "amqp", "url": rabbitmq, "queue": queue}):
            id = started(engine, PUSHED)
            eventually(lambda: sends(engine, id) == 2)
            wrong.delete()
            with Inbox(rabbitmq, queue) as inbox:
                assert inbox.wait()[0]["attempt"] == 1


def sends(engine: Engine, id: str) -> int:
    from sqlalchemy import select

    from lazyengine.db import tables as t

    with engine.database.engine.connect() as connection:
        return connection.execute(select(t.mark.c.sends).where(t.mark.c.execution_id == id)).scalar() or 0


def test_all_tasks_of_a_broker_that_is_away_fail_in_their_time(engine: Engine, settings: Settings) -> None:
    """Not one after the other: the first one that is tried stands for those behind it."""
    tasks = {f"t{n}": {"target": "queue"} for n in range(6)}
    nobody = {"sender": "amqp", "url": "amqp://127.0.0.1:1//", "queue": "q", "sending_seconds": 1.0}
    with dispatching(settings, queue=nobody):
        id = started(engine, tasks)
        eventually(lambda: state_of(engine, id) == "FAILURE", 30.0)
    failures = [engine.get_task(OWNER, id, name).failure for name in tasks]
    assert [failure.type for failure in failures if failure] == ["dispatch"] * 6
