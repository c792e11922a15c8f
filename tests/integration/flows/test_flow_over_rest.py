"""A TaskFlow flow over REST, worked on by two processes of which one is killed, ends as TaskFlow's engine ends it."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from taskflow import engines
from taskflow.exceptions import WrappedFailure

from tests.conftest import new_database

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0
ATOMS = ("three times", "take", "stock", "address", "age", "charge", "mail", "letter")


def until(condition):
    """Wait for something, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.05)
    return found


def in_taskflow(fails, log, monkeypatch):
    """Return how TaskFlow's serial engine ends the flow: its state and those of its atoms, results, what was called."""
    monkeypatch.setenv("SHOP_LOG", str(log))
    spec = importlib.util.spec_from_file_location("shop", HERE / "shop.py")
    shop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shop)
    engine = engines.load(shop.order(), store={"fails": fails}, engine="serial")
    try:
        engine.run()
    except (ValueError, WrappedFailure):
        assert fails > 2
    states = {name: engine.storage.get_atom_state(name) for name in ATOMS}
    done = [name for name, state in states.items() if state == "SUCCESS" and name != "three times"]
    results = {name: engine.storage.get_execute_result(name) for name in done}
    return engine.storage.get_flow_state(), states, results, Counter(log.read_text().splitlines())


def ended_of(service, path):
    """Wait for the end of an execution, and return it."""

    def ended():
        found = service.request("GET", path)[1]
        return found if found["state"] in ("SUCCESS", "FAILURE", "REVERTED") else None

    return until(ended)


@pytest.fixture
def work(tmp_path):
    """Start workers, each by its name; they end with the test."""
    workers = {}

    def start(url, name, environ):
        command = [sys.executable, str(HERE / "working.py"), url, name]
        workers[name] = subprocess.Popen(command, cwd=tmp_path, env=environ)
        return workers[name]

    yield start
    for worker in workers.values():
        worker.kill()
        worker.wait()


@pytest.mark.parametrize("fails", [2, 99], ids=["succeeds at the last attempt", "never succeeds"])
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_two_workers_one_killed(backend, fails, serve, work, tmp_path, monkeypatch):
    theirs = in_taskflow(fails, tmp_path / "theirs.log", monkeypatch)
    log = tmp_path / "ours.log"
    path = os.pathsep.join([str(HERE), *sys.path])
    for url in new_database(backend, tmp_path):
        settings = {"LAZYENGINE_DATABASE_URL": url, "LAZYENGINE_FLOWS": "order=shop:order"}
        environ = {**os.environ, **settings, "PYTHONPATH": path, "SHOP_LOG": str(log)}
        if backend != "sqlite":
            subprocess.run([sys.executable, "-m", "lazyengine", "db", "upgrade"], env=environ, check=True, cwd=tmp_path)
        service = serve("--workers", "2", **settings, PYTHONPATH=path, SHOP_LOG=str(log))
        status, started = service.request("POST", "/executions", {"workflow": "order", "input": {"fails": fails}})
        assert status == 201
        here = f"/executions/{started['id']}"
        workers = {name: work(service.url, name, environ) for name in ("one", "two")}

        holder = until(lambda: (tmp_path / "holder").exists() and (tmp_path / "holder").read_text())
        workers[holder].send_signal(signal.SIGKILL)
        workers[holder].wait()
        held = service.request("GET", f"{here}/tasks/charge")[1]
        assert (held["state"], held["claimed_by"]) == ("RUNNING", holder)
        (tmp_path / "held.json").rename(tmp_path / "orphaned.json")

        ended = ended_of(service, here)
        tasks = {name: service.request("GET", f"{here}/tasks/{name.replace(' ', '%20')}")[1] for name in ATOMS}
        states = {name: one["state"] for name, one in tasks.items()}
        results = {name: tasks[name]["result"] for name in theirs[2]}
        assert (ended["state"], states, results, Counter(log.read_text().splitlines())) == theirs
        listed = service.request("GET", f"{here}/tasks")[1]["tasks"]
        assert sorted(one["name"] for one in listed) == sorted(ATOMS), "gates are no tasks"
        assert service.stop() == 0


def test_lazyengine_work_knows_the_flows_of_the_settings(serve, tmp_path):
    """A flow with a retry and reverts is worked on by nobody but `lazyengine work`."""
    path = os.pathsep.join([str(HERE), *sys.path])
    flows = {"LAZYENGINE_FLOWS": "order=shop:order", "PYTHONPATH": path, "SHOP_LOG": str(tmp_path / "log")}
    service = serve(**flows)
    command = [sys.executable, "-m", "lazyengine", "work", "--api", service.url, "--action", "order"]
    with subprocess.Popen(command, env={**os.environ, **flows}, cwd=tmp_path) as worker:
        body = {"workflow": "order", "input": {"fails": 1}}
        started = service.request("POST", "/executions", body)[1]
        ended = ended_of(service, f"/executions/{started['id']}")
        worker.terminate()
        assert worker.wait(PATIENCE_SECONDS) == 0
    assert ended["state"] == "SUCCESS"
    assert (tmp_path / "log").read_text().splitlines().count("charge") == 2
