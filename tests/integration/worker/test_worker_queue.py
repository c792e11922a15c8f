"""`lazyengine work --amqp`: real processes, a real RabbitMQ, and a dispatcher that feeds it."""

import json
import signal
import sys
import time
import uuid

import kombu
import pytest

from tests.conftest import unavailable
from tests.integration.conftest import ALL
from tests.integration.worker.conftest import eventually

RABBITMQ = "amqp://guest:guest@127.0.0.1//"


@pytest.fixture
def queue():
    """A queue that nobody else uses, empty."""
    try:
        with kombu.Connection(RABBITMQ, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
            bound = kombu.Queue(f"lazyengine-test-{uuid.uuid4().hex[:12]}", durable=True)(connection)
            bound.declare()
            yield bound
            bound.delete()
    except OSError as error:
        unavailable(f"no RabbitMQ at {RABBITMQ}: {error}")


@pytest.fixture
def fed(serve, queue, tmp_path):
    """A service that asks for tokens and whose dispatcher sends the target `far` to the queue; a way to start there."""
    targets = {"far": {"sender": "amqp", "url": RABBITMQ, "queue": queue.name}}
    auth = {"LAZYENGINE_AUTH_TOKENS": "alice:secret bob:t0ken", "LAZYENGINE_TARGETS": json.dumps(targets)}
    service = serve(command=ALL, **auth)

    def start(token="secret", **tasks):
        spec = {name: {"action": action, "input": given, "target": "far"} for name, (action, given) in tasks.items()}
        headers = {"Authorization": f"Bearer {token}"}
        status, execution = service.request("POST", "/executions", {"definition": {"w": {"tasks": spec}}}, **headers)
        assert status == 201, execution
        return lambda name: service.request("GET", f"/executions/{execution['id']}/tasks/{name}", **headers)[1]

    return service.url, start


def ended(task, name):
    final = ("SUCCESS", "FAILURE", "CANCELLED")
    return eventually(lambda: (one := task(name))["state"] in final and one, f"the end of {name}")


def left_in(queue):
    """Count the messages that no consumer holds."""
    return queue.queue_declare(passive=True).message_count


def test_it_works_on_what_the_queue_brings_whoever_owns_it(fed, work, queue):
    """Without any token: callback URLs are enough. What nobody can do fails, what is no assignment is passed over."""
    url, start = fed
    producer = kombu.Producer(queue.channel)
    producer.publish("nonsense", exchange="", routing_key=queue.name)
    producer.publish(
        "{", exchange="", routing_key=queue.name, content_type="application/json", content_encoding="utf-8"
    )
    producer.publish(b"x", exchange="", routing_key=queue.name, content_type="application/x-python-serialize")
    alice = start(sum=("tried.add", {"a": 2}), fails=("tried.fail", {"message": "gone"}), none=("no.such", {}))
    bob = start("t0ken", **{f"t{n}": ("tried.add", {"a": n}) for n in range(20)})
    worker = work(url, "--amqp", RABBITMQ, "--target", queue.name, "--concurrency", "2")
    assert ended(alice, "sum")["result"] == 3
    assert ended(alice, "fails")["failure"]["type"] == "KeyError"
    assert ended(alice, "none")["failure"]["type"] == "action.unknown"
    assert [ended(bob, f"t{n}")["result"] for n in range(20)] == [n + 1 for n in range(20)]
    worker.terminate()
    assert worker.wait(20) == 0
    assert left_in(queue) == 0, "all was acknowledged"


def test_sigterm_finishes_what_it_holds_and_leaves_the_rest(fed, work, queue, tmp_path):
    """It holds as many as it may run; what is left in the queue is done by the next worker."""
    url, start = fed
    task = start(**{name: ("tried.slow", {"seconds": 2, "directory": str(tmp_path)}) for name in ("a", "b", "c")})
    options = ("--amqp", RABBITMQ, "--target", queue.name, "--concurrency", "2", "--lease-seconds", "1")
    worker = work(url, *options)
    eventually(lambda: len(list(tmp_path.glob("?.began"))) == 2, "the beginning")
    time.sleep(0.5)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert [len(list(tmp_path.glob(f"?.{what}"))) for what in ("began", "ended")] == [2, 2]
    eventually(lambda: left_in(queue) == 1, "the rest")
    work(url, *options)
    assert [ended(task, name)["result"] for name in "abc"] == ["ended"] * 3
    assert {task(name)["attempt"] for name in "abc"} == {1}, "heartbeats kept the leases of a second"


def test_what_a_killed_worker_held_comes_again_once(fed, work, queue, tmp_path):
    """The broker brings it again; a message whose task has ended meanwhile is acknowledged, and nothing is run."""
    url, start = fed
    task = start(a=("tried.slow", {"seconds": 1, "directory": str(tmp_path)}))
    options = ("--amqp", RABBITMQ, "--target", queue.name, "--lease-seconds", "60")
    first = work(url, *options)
    eventually((tmp_path / "a.began").exists, "the beginning")
    first.kill()
    first.wait()
    (tmp_path / "a.began").unlink()
    assignment = eventually(lambda: queue.get(no_ack=True), "the message that comes again")
    for _ in range(2):
        kombu.Producer(queue.channel).publish(assignment.body, exchange="", routing_key=queue.name,
                                              content_type="application/json", content_encoding="utf-8")  # fmt: skip
    work(url, *options, "--concurrency", "1")
    assert ended(task, "a")["attempt"] == 1
    (tmp_path / "a.began").unlink()
    kombu.Producer(queue.channel).publish(assignment.body, exchange="", routing_key=queue.name,
                                          content_type="application/json", content_encoding="utf-8")  # fmt: skip
    eventually(lambda: left_in(queue) == 0, "the queue to be empty")
    time.sleep(0.5)
    assert not (tmp_path / "a.began").exists(), "it has run again"


def test_without_kombu_it_says_what_is_missing(work, tmp_path):
    """The extra is named."""
    (tmp_path / "kombu.py").write_text("raise ImportError('gone', name='kombu')")
    worker = work("http://127.0.0.1:1", "--amqp", RABBITMQ, PYTHONPATH=f"{tmp_path}:{':'.join(sys.path)}")
    assert worker.wait(20) == 1
    assert "pip install 'lazyengine[amqp]'" in worker.log.read_text()
