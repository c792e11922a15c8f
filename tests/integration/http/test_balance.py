"""Connections are shared evenly by the worker processes of a service."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

from client import Client

ESTABLISHED = "01"


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def held(port: int, pid: int) -> int:
    """How many connections to a port of this machine a process holds at the side of the service."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED}
    return sum(os.readlink(one) in inodes for one in Path(f"/proc/{pid}/fd").iterdir())


def test_connections_that_are_opened_at_once_are_shared_evenly(serve) -> None:
    """Whoever comes first would have most of them, and the processor of another would do nothing."""
    service = serve("--workers", "2")
    deadline = time.monotonic() + 30
    while service.text().count("Booting worker") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # they say so before they listen
    shares = []
    for _ in range(5):
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(service.port)) for _ in range(8)]
            for client in clients:
                client.connection.connect()
            for client in clients:
                assert client.send("GET", "/healthz")[0] == 200
            shares.append([held(service.port, worker) for worker in workers_of(service.process.pid)])
        time.sleep(0.2)  # they hear that callers have gone
    assert all(sorted(share) in ([4, 4], [3, 5]) for share in shares), shares
