"""The floor in Python: a bare WSGI application that does the transaction of the floor in one round trip."""

import json
import os
import threading

import psycopg

COMPLETE = """
WITH locked AS (SELECT id FROM execution WHERE id = %(e)s FOR UPDATE),
     done AS (UPDATE task SET state = 'SUCCESS', result = %(result)s FROM locked
              WHERE execution_id = locked.id AND number = %(n)s),
     lowered AS (UPDATE task SET missing = missing - 1 FROM locked
                 WHERE execution_id = locked.id AND number IN (%(n)s + 1, %(n)s + 2)),
     handed AS (INSERT INTO outbox (execution_id, number) SELECT id, %(n)s + k FROM locked, generate_series(1, 2) k)
UPDATE execution SET live = live + 1, generation = generation + 1, updated_at = now() FROM locked
WHERE execution.id = locked.id RETURNING state, live
"""

_local = threading.local()


def application(environ, start_response):
    """Serve PUT /executions/<number>/tasks/<number>."""
    _, _, execution, _, task = environ["PATH_INFO"].split("/")
    report = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    values = {"e": int(execution), "n": int(task), "result": json.dumps(report["result"])}
    state, live = connection().execute(COMPLETE, values).fetchone()
    answer = json.dumps({"task": task, "state": report["state"], "execution": {"state": state, "live": live}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


def connection() -> psycopg.Connection:
    """Return the connection of this thread."""
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(os.environ["FLOOR_DATABASE"], autocommit=True)
    return _local.connection
