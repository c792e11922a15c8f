# /// script
# dependencies = ["prefect==3.9.1"]
# ///
"""Prefect with a server on PostgreSQL: flows of 100 tasks that do nothing, against lazyengine on PostgreSQL.

Prefect's tasks run in the process of their flow and tell the server how they stand; their results are not kept.  The
server learns of it much later, which is waited for between the runs, so there are no more than five flows at once.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from bench.peers.comparison import Comparison, Run

LENGTH = 100
PATIENCE_SECONDS = 120
STILL_SECONDS = 5
"""If nothing has changed for so long, nothing will."""


@contextmanager
def server(url: str) -> Iterator[None]:
    """Run a server that speaks to nobody outside, and let this process be its client."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with TemporaryDirectory() as home:
        os.environ |= {
            "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_HOME": home,
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": url.replace("postgresql:", "postgresql+asyncpg:"),
        }
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui"]
        with subprocess.Popen(command, stdout=sys.stderr) as process:
            try:
                wait_for(process, f"http://127.0.0.1:{port}/api/health")
                yield
            finally:
                process.terminate()


def wait_for(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.5)
    raise TimeoutError("Prefect's server does not answer")


def make_chain() -> Any:
    """Return the flow; Prefect reads its settings when it is imported."""
    from prefect import flow, task

    @task
    def link(x: int) -> int:
        return x + 1

    @flow
    def chain() -> int:
        x = 0
        for _ in range(LENGTH):
            x = link(x)
        return x

    return chain


def chains(chain: Any, executions: int) -> Run:
    """Run flows at once, in threads of this process."""
    began = time.perf_counter()
    with ThreadPoolExecutor(executions) as threads:
        ends = [threads.submit(chain) for _ in range(executions)]
        assert [end.result() for end in ends] == [LENGTH] * executions
    seconds = time.perf_counter() - began
    settle()
    return Run(executions * LENGTH, executions * LENGTH, seconds)


def settle() -> None:
    """Wait while the server still learns of the end of tasks, so that its work is not in somebody else's time."""
    states = {"any_": ["PENDING", "RUNNING"]}
    unfinished = {"task_runs": {"state": {"type": states}}}
    left, since = -1, time.monotonic()
    while time.monotonic() < since + STILL_SECONDS:
        if not (found := count(unfinished)):
            return
        if found != left:
            left, since = found, time.monotonic()
        time.sleep(0.5)
    print(f"Prefect's server does not learn of the end of {left} tasks", file=sys.stderr)


def count(which: dict[str, Any]) -> int:
    head = {"Content-Type": "application/json"}
    url = f"{os.environ['PREFECT_API_URL']}/task_runs/count"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(which).encode(), head), timeout=30) as answer:
        return int(json.load(answer))


def main() -> None:
    comparison = Comparison("Prefect", __doc__, ("prefect", "SQLAlchemy", "asyncpg"))
    with comparison.ours() as ours:
        try:
            with server(ours.database("postgresql")):
                chain = make_chain()
                for executions in (1, 5):
                    case = f"chains {executions}x100"
                    ways = {"over HTTP": ours.runs("http", case), "in process": ours.runs("engine", case)}
                    comparison.measure(case, "tasks/s", partial(chains, chain, executions), ways)
        except TimeoutError as error:
            comparison.cannot_run(str(error))


if __name__ == "__main__":
    main()
