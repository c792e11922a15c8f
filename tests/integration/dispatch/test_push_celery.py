"""A real Celery worker does the tasks of a workflow, and the API hears of it."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest
from celery import Celery
from dispatching import dispatching, eventually

from lazyengine.dispatch.senders.celery import NAMES
from lazyengine.settings import Settings

HERE = Path(__file__).parent


@pytest.fixture
def worker(serve, broker: str, queue: str, tmp_path: Path) -> Iterator[object]:
    """The API on an embedded database, and a Celery worker that reports to it."""
    service = serve()
    environ = os.environ | {
        "WORK_BROKER": broker,
        "WORK_ENGINE": service.url,
        "PYTHONPATH": f"{HERE}:{HERE.parents[2]}",
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "celery_application",
        "worker",
        "-Q",
        queue,
        "-c",
        "1",
        "-l",
        "info",
    ]
    with (tmp_path / "celery.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "--without-heartbeat", "-n", f"{queue}@%h"],
            env=environ, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    yield service
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with kombu.Connection(broker) as connection:
        channel = connection.channel()
        kombu.Queue(queue, kombu.Exchange(queue, "direct"), routing_key=queue)(channel).delete()


def test_celery_workers_are_the_fleet(worker, broker: str, queue: str, tmp_path: Path) -> None:
    """Results, failures, retries of Celery's own, results that are no JSON, and a task without an action."""
    url = f"sqlite:///{tmp_path / 'lazyengine.db'}"
    settings = Settings(database_url=url, public_url=worker.url)
    tasks = {
        "sum": {"action": "work.add", "input": {"x": 1, "y": 2}},
        "wrong": {"action": "work.fail"},
        "stubborn": {"action": "work.stubborn"},
        "odd": {"action": "work.odd"},
        "nothing": {"target": "fleet"},
    }
    definition = {"w": {"tasks": {name: {**task, "target": "fleet"} for name, task in tasks.items()}}}
    with dispatching(settings, fleet={"sender": "celery", "url": broker, "queue": queue}):
        status, execution = worker.request("POST", "/executions", {"definition": definition})
        assert status == 201
        path = f"/executions/{execution['id']}"
        try:
            eventually(lambda: worker.request("GET", path)[1]["state"] != "RUNNING", 40)
        except AssertionError:
            raise AssertionError((tmp_path / "celery.log").read_text(errors="replace")[-3000:]) from None
    seen = {name: worker.request("GET", f"{path}/tasks/{name}")[1] for name in tasks}
    assert {name: task["state"] for name, task in seen.items()} == {
        "sum": "SUCCESS", "wrong": "FAILURE", "stubborn": "SUCCESS", "odd": "FAILURE", "nothing": "FAILURE",
    }  # fmt: skip
    assert (seen["sum"]["result"], seen["stubborn"]["result"]) == (3, 2)
    assert seen["wrong"]["failure"] == {"type": "LookupError", "message": "nothing there", "details": None}
    assert "no JSON" in seen["odd"]["failure"]["message"]
    assert "names none" in seen["nothing"]["failure"]["message"]


def test_what_is_revoked_is_cancelled(worker, broker: str, queue: str, tmp_path: Path) -> None:
    """Before a worker begins it, and by killing it while it runs; both names of Celery tasks are known beforehand."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'lazyengine.db'}", public_url=worker.url)
    ids = [str(uuid.uuid4()) for _ in range(2)]
    names = [str(uuid.uuid5(NAMES, f"{id}.0.1.-1.1")) for id in ids]
    began = tmp_path / "began"
    task = {"action": "work.sleep", "target": "fleet", "input": {"began": str(began)}}
    app = Celery(broker=broker, set_as_current=False)
    with dispatching(settings, fleet={"sender": "celery", "url": broker, "queue": queue}), app:
        eventually(lambda: app.control.ping([f"{queue}@{socket.gethostname()}"], timeout=0.5), 40)
        app.control.revoke(names[0])
        for id in ids:
            worker.request("POST", "/executions", {"id": id, "definition": {"w": {"tasks": {"a": task}}}})
        eventually(began.exists)
        app.control.revoke(names[1], terminate=True)
        for id in ids:
            eventually(lambda id=id: worker.request("GET", f"/executions/{id}/tasks/a")[1]["state"] == "CANCELLED")
            assert worker.request("GET", f"/executions/{id}")[1]["state"] == "CANCELLED"
