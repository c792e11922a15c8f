"""`lazyengine serve` with nothing else started: the API, a dispatcher and a worker, and how they live and end."""

import os
import signal
import subprocess
import time

import pytest

from tests.integration.conftest import ALL
from tests.integration.worker.conftest import Run, eventually


def children(pid):
    """Return the processes below one, by the last words of their command lines."""
    told = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False)
    found = {}
    for line in told.stdout.splitlines():
        number, command = line.split(maxsplit=1)
        for kind in ("gunicorn: master", "lazyengine dispatch", "lazyengine work"):
            if kind in command:
                found[kind.split()[-1]] = int(number)
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def serve_all(serve):
    """Start services with all three processes, and wait for these."""

    def start(*options, **environ):
        service = serve(*options, command=ALL, **environ)
        eventually(lambda: len(children(service.process.pid)) == 3, "the start")
        return service

    return start


def test_a_task_for_a_worker_is_done_and_what_is_due_happens(serve_all):
    """A worker takes std.sleep, and a task that waits runs once its time has come, without anybody asking."""
    service = serve_all()
    assert Run(service, t=("std.sleep", {"seconds": 0})).ended()["state"] == "SUCCESS"
    assert Run(service, t=("std.test_dict", {"size": 2, "key_prefix": "k"})).ended()["result"] == {"k0": "", "k1": ""}
    definition = {"w": {"tasks": {"t": {"action": "std.noop", "wait-before": 1}}}}
    _, execution = service.request("POST", "/executions", {"definition": definition})
    path = f"/executions/{execution['id']}"
    eventually(lambda: service.request("GET", path)[1]["state"] == "SUCCESS", "the due task")


def test_private_addresses_are_refused_unless_allowed(serve_all):
    """`std.http` does not reach what only this machine reaches: not even the API itself."""
    service = serve_all()
    task = Run(service, t=("std.http", {"url": f"{service.url}/healthz"})).ended()
    assert (task["state"], task["failure"]["type"]) == ("FAILURE", "outbound.refused")
    assert "outbound_allow" in task["failure"]["message"]


def test_the_worker_works_for_every_owner_and_knows_no_more_than_it_has_to(serve_all):
    """Tokens reach it by its environment; neither the database nor the file of settings does."""
    service = serve_all(
        SPT_NOENV="1",  # keeps setproctitle from writing over the environment that is read below
        LAZYENGINE_AUTH_TOKENS="alice:s3cret bob:t0ken alice:other",
        LAZYENGINE_OUTBOUND_ALLOW="10.0.0.0/8",
    )
    definition = {"w": {"tasks": {"t": {"action": "std.sleep seconds=0"}}}}
    for token in ("s3cret", "t0ken"):
        bearer = {"Authorization": f"Bearer {token}"}
        _, execution = service.request("POST", "/executions", {"definition": definition}, **bearer)
        path = f"/executions/{execution['id']}?wait_seconds=10"
        assert service.request("GET", path, **bearer)[1]["state"] == "SUCCESS"
    worker = children(service.process.pid)["work"]
    with open(f"/proc/{worker}/environ") as environ:
        known = {entry for entry in environ.read().split("\0") if entry.startswith("LAZYENGINE_")}
    assert known == {
        "LAZYENGINE_TOKEN=s3cret t0ken",
        "LAZYENGINE_OUTBOUND_ALLOW=10.0.0.0/8",
        "LAZYENGINE_LOG_LEVEL=info",
        "LAZYENGINE_FLOWS=",
    }
    with open(f"/proc/{worker}/cmdline") as command:
        assert "s3cret" not in command.read()


@pytest.mark.parametrize("kind", ["work", "dispatch"])
def test_what_dies_beside_the_api_is_started_again(serve_all, kind):
    """SIGKILL of the worker or the dispatcher: the API goes on, and a moment later there is another one."""
    service = serve_all()
    first = children(service.process.pid)[kind]
    os.kill(first, signal.SIGKILL)
    assert service.request("GET", "/readyz")[0] == 200
    eventually(lambda: children(service.process.pid).get(kind, first) != first, "the new one")
    assert Run(service, t=("std.sleep", {"seconds": 0})).ended()["state"] == "SUCCESS"
    assert service.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_task_under_way_finish(serve_all, serve, number):
    """As a service manager and as a terminal send it: the worker still reports, then everything ends with status 0."""
    service = serve_all()
    run = Run(service, t=("std.sleep", {"seconds": 2}))
    eventually(lambda: run.task()["claimed_by"], "the claim")
    below = children(service.process.pid)
    if number is signal.SIGINT:
        os.killpg(service.process.pid, number)
    else:
        service.process.send_signal(number)
    assert service.process.wait(20) == 0
    assert not any(map(is_alive, below.values()))
    run.service = serve()
    assert run.task()["state"] == "SUCCESS"


def test_a_second_signal_ends_it_at_once(serve_all):
    service = serve_all()
    run = Run(service, t=("std.sleep", {"seconds": 60}))
    eventually(lambda: run.task()["claimed_by"], "the claim")
    below = children(service.process.pid)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert service.process.poll() is None
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 1
    eventually(lambda: not any(map(is_alive, below.values())), "the end of all")


def test_whoever_kills_it_kills_all(serve_all):
    """SIGKILL of the first process alone: the others end by themselves, and the port is free again."""
    service = serve_all()
    below = children(service.process.pid)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    eventually(lambda: not any(map(is_alive, below.values())), "the end of all")
    again = serve_all("--port", str(service.port))
    assert again.request("GET", "/readyz")[0] == 200


def test_the_end_of_the_api_is_the_end_of_all(serve_all):
    """Its status is told, so that whoever runs the service starts it again."""
    service = serve_all()
    below = children(service.process.pid)
    os.kill(below["master"], signal.SIGKILL)
    assert service.process.wait(20) == 128 + signal.SIGKILL
    assert not any(map(is_alive, (below["dispatch"], below["work"])))


def test_an_address_for_all_machines_is_reached_by_the_worker(serve_all):
    service = serve_all("--host", "0.0.0.0", "--allow-unauthenticated")
    assert Run(service, t=("std.sleep", {"seconds": 0})).ended()["state"] == "SUCCESS"
