"""Many clients at once: nothing is lost, nothing happens twice, and nobody sees the database's troubles."""

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.integration.http.client import Client

LOAD_SECONDS = float(os.environ.get("LAZYENGINE_TEST_LOAD_SECONDS", "10"))


def test_50_clients_on_one_sqlite_file(serve):
    """Whatever 50 clients do to one file, they get 200, 201 or 409, and every execution they ran has ended well."""
    service = serve("--workers", "2", "--threads", "16")
    statuses: Counter[int] = Counter()
    finished: list[str] = []
    lock = threading.Lock()
    deadline = time.monotonic() + LOAD_SECONDS

    def work(number: int) -> None:
        mine: Counter[int] = Counter()
        with Client(service.port) as client:
            run(client, mine)
        with lock:
            statuses.update(mine)

    def run(client: Client, mine: Counter[int]) -> None:
        while time.monotonic() < deadline:
            tasks = {
                "a": {"on-success": ["b", "c"]},
                "b": {"on-success": "d"},
                "c": {"on-success": "d"},
                "d": {"join": "all"},
            }
            status, execution = client.send("POST", "/executions", {"definition": {"diamond": {"tasks": tasks}}})
            mine[status] += 1
            for name in ("a", "b", "b", "d", "c", "d"):  # b twice; d once too early, which is 409
                status, _ = client.send("PUT", f"/executions/{execution['id']}/tasks/{name}", {"state": "SUCCESS"})
                mine[status] += 1
            with lock:
                finished.append(execution["id"])

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(work, range(50)))
    assert set(statuses) == {200, 201, 409}
    assert statuses[409] == statuses[201] == len(finished)
    with Client(service.port) as client:
        states = {client.get(execution)["state"] for execution in finished}
    assert states == {"SUCCESS"}


def test_16_clients_on_4_workers_complete_one_fan_in_each_twice(serve, database_url):
    """The join of branches that 16 clients complete twice, through 4 processes, is handed out once."""
    service = serve("--workers", "4", "--threads", "4", "--database-url", database_url)
    names = [f"branch-{n}" for n in range(64)]
    with Client(service.port) as client:
        execution = client.start({name: {"on-success": "join"} for name in names} | {"join": {"join": "all"}})

    def work(number: int) -> list[dict]:
        with Client(service.port) as client:
            return [client.complete(execution, name) for name in names[number % 8 :: 8]]

    with ThreadPoolExecutor(16) as pool:
        answers = [answer for batch in pool.map(work, range(16)) for answer in batch]
    assert len(answers) == 128
    assert sum(answer["replayed"] for answer in answers) == 64
    firing = [answer for answer in answers if answer["scheduled"] and not answer["replayed"]]
    assert [[task["task"] for task in answer["scheduled"]] for answer in firing] == [["join"]]
