"""A worker in a process of its own, with actions of an installed package."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMES = ("add", "fail", "fail_with_result", "leave", "unspeakable", "large", "slow", "begin")
PATIENCE_SECONDS = 20.0


@pytest.fixture
def installed(tmp_path):
    """A directory that, on the path, is an installed package with entry points."""
    directory = tmp_path / "site"
    shutil.copy(HERE / "tried_actions.py", directory.mkdir() or directory)
    facts = directory / "tried_actions-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tried-actions\nVersion: 1\n")
    points = "".join(f"tried.{name} = tried_actions:{name}\n" for name in NAMES)
    (facts / "entry_points.txt").write_text(f"[lazyengine.actions]\n{points}")
    return directory


@pytest.fixture
def work(tmp_path, installed):
    """Start workers that end with the test."""
    processes = []

    def start(url, *options, **environ):
        path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
        variables = {name: value for name, value in os.environ.items() if not name.startswith("LAZYENGINE_")}
        log = tmp_path / f"work-{len(processes)}.log"
        command = [sys.executable, "-m", "lazyengine", "work", "--api", url, "--wait-seconds", "1", *options]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=variables | {"PYTHONPATH": path} | environ, stdout=out, stderr=out
            )
        process.log = log
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def eventually(ask, what="it"):
    """Return the first true answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in time")


class Run:
    """An execution of tasks that all begin at once, each `name: (action, input)`."""

    def __init__(self, service, **tasks):
        self.service = service
        spec = {name: {"action": action, "input": input} for name, (action, input) in tasks.items()}
        status, execution = service.request("POST", "/executions", {"definition": {"w": {"tasks": spec}}})
        assert status == 201, execution
        self.path = f"/executions/{execution['id']}"

    def task(self, name="t"):
        return self.service.request("GET", f"{self.path}/tasks/{name}")[1]

    def ended(self, name="t"):
        """Return the task once it has ended."""
        final = ("SUCCESS", "FAILURE", "CANCELLED")
        return eventually(lambda: (task := self.task(name))["state"] in final and task, f"the end of {name}")
