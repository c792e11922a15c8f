"""A worker that is killed with its leases: all run again elsewhere, and what it had found comes too late."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from tests.integration.http.client import Client

TASKS, LEASE_SECONDS = 10, 2.0
ROOT = Path(__file__).parents[3]


def claimed(client):
    claim = {"worker": "w2", "targets": ["vanish"], "limit": 100}
    return client.send("POST", "/tasks/claim", claim)[1]["tasks"]


def test_a_killed_worker_with_10_leases(serve, database_url, database, settings):
    """Nothing is given to others before; then each is, as the next attempt, and the old answers are 409 and kept."""
    service = serve("--database-url", database_url)
    with Client(service.port) as client:
        id = client.start({f"t{n}": {"target": "vanish"} for n in range(TASKS)})
        command = [sys.executable, "-m", "tests.integration.http.vanishing_worker", str(service.port)]
        worker = subprocess.Popen([*command, str(LEASE_SECONDS)], cwd=ROOT, stdout=subprocess.PIPE)
        held = json.loads(worker.stdout.readline())
        worker.kill()
        worker.communicate()
        assert len(held) == TASKS
        engine = Engine(Database(replace(settings, threads=1)), settings)
        assert (engine.fire_due(), claimed(client)) == (0, [])
        deadline = time.monotonic() + 30
        fired = 0
        while fired < TASKS and time.monotonic() < deadline:
            time.sleep(max(0.0, (engine.next_due() - engine.clock()).total_seconds()))
            fired += engine.fire_due()
        again = claimed(client)
        assert sorted((one["task"], one["attempt"]) for one in again) == [(f"t{n}", 2) for n in range(TASKS)]
        for one in held:
            answer = {"state": "SUCCESS", "result": "late", "attempt": one["attempt"]}
            status, problem = client.send("PUT", f"/executions/{id}/tasks/{one['task']}", answer)
            assert (status, problem["code"]) == (409, "task.stale_attempt")
            beat = {"state": "RUNNING", "attempt": one["attempt"], "lease_seconds": 60}
            assert client.send("PUT", f"/executions/{id}/tasks/{one['task']}", beat)[0] == 409
        client.complete_all(id, [{"name": one["task"], "attempt": 2} for one in again])
        assert client.get(id)["state"] == "SUCCESS"
        engine.database.dispose()
    with database.engine.connect() as connection:
        kept = select(t.history.c.attempt, t.history.c.late).where(t.history.c.kind == "late_result")
        rows = connection.execute(kept).all()
    assert [(row.attempt, row.late["result"]) for row in rows] == [(1, "late")] * TASKS
