"""The least that a completion must do, as plain SQL in pgbench and behind a bare WSGI application on gunicorn.

One transaction: lock one execution row, mark one task, lower the counters of two successors, insert two outbox rows,
update the header.  PostgreSQL has the settings that the server has; durable, where nobody changed them.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, make_url, text

from bench.harness import emit, parser, rounds, row
from bench.load import Load, drive, request
from bench.places import THREADS, WORKERS, Service, empty_database, running

EXECUTIONS, TASKS = 1_000, 102
"""As many executions with so many tasks; the last two are successors only."""

TABLES = f"""
CREATE TABLE execution (id integer PRIMARY KEY, state text NOT NULL, live integer NOT NULL,
                        generation integer NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE task (execution_id integer, number integer, state text NOT NULL, missing integer NOT NULL, result text,
                   PRIMARY KEY (execution_id, number));
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, execution_id integer NOT NULL,
                     number integer NOT NULL);
INSERT INTO execution SELECT e, 'RUNNING', 1, 0, now() FROM generate_series(1, {EXECUTIONS}) e;
INSERT INTO task SELECT e, n, 'PENDING', 2, NULL
  FROM generate_series(1, {EXECUTIONS}) e, generate_series(1, {TASKS}) n;
"""

FIVE_STATEMENTS = """
\\set e random(1, :executions)
\\set n random(1, 100)
BEGIN;
SELECT state, live, generation FROM execution WHERE id = :e FOR UPDATE;
UPDATE task SET state = 'SUCCESS', result = '"done"' WHERE execution_id = :e AND number = :n;
UPDATE task SET missing = missing - 1 WHERE execution_id = :e AND number IN (:n + 1, :n + 2);
INSERT INTO outbox (execution_id, number) VALUES (:e, :n + 1), (:e, :n + 2);
UPDATE execution SET live = live + 1, generation = generation + 1, updated_at = now() WHERE id = :e;
END;
"""

_tps = re.compile(r"tps = ([\d.]+) \(without initial")


@contextmanager
def floor_database() -> Iterator[str]:
    """Give the URL of a PostgreSQL database with the tables of the floor, filled."""
    with empty_database("postgresql") as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in filter(str.strip, TABLES.split(";")):
                connection.execute(text(statement))
            connection.execute(text("VACUUM ANALYZE"))
        engine.dispose()
        yield url


def pgbench(url: str, clients: int, seconds: float, executions: int = EXECUTIONS) -> float:
    """Return the transactions a second of five statements."""
    place = make_url(url)
    with TemporaryDirectory() as directory:
        script = Path(directory) / "completion.sql"
        script.write_text(FIVE_STATEMENTS)
        command = [
            find_pgbench(), "--no-vacuum", f"--client={clients}", f"--jobs={min(clients, 2)}",
            f"--time={max(1, round(seconds))}", f"--define=executions={executions}", f"--file={script}",
            f"--host={place.host or ''}", f"--port={place.port or 5432}", f"--username={place.username or ''}",
            str(place.database),
        ]  # fmt: skip
        environ = {"PGPASSWORD": str(place.password)} if place.password else None
        done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    found = _tps.search(done.stdout)
    if found is None:
        raise SystemExit(done.stdout)
    return float(found[1])


def find_pgbench() -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    found = shutil.which("pgbench") or (str(installed[-1]) if installed else None)
    if found is None:
        raise SystemExit("pgbench is not installed; it comes with PostgreSQL's server or contrib package")
    return found


@contextmanager
def bare_wsgi(url: str) -> Iterator[Service]:
    """Run the application of `bench.floor_wsgi` as ours is run."""
    command = [
        sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", f"--workers={WORKERS}", f"--threads={THREADS}",
        "--worker-class=gthread", "--keep-alive=75", "--no-control-socket", "bench.floor_wsgi:application",
    ]  # fmt: skip
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with running(command, {"FLOOR_DATABASE": conninfo}) as service:
        yield service


def drive_bare_wsgi(service: Service, connections: int, seconds: float, executions: int = EXECUTIONS) -> Load:
    """Complete tasks of the floor, each connection in executions of its own as far as there are enough."""
    body = b'{"state":"SUCCESS","result":"done"}'
    scripts = [
        iter([request("PUT", f"/executions/{e}/tasks/{n}", body) for n in range(1, 101)])
        for _ in range(1 + EXECUTIONS // executions if executions < EXECUTIONS else 3)
        for e in range(1, executions + 1)
    ]
    return drive(service.port, scripts, connections, seconds)


def main() -> None:
    options = parser(__doc__).parse_args()
    seconds = 1 if options.quick else 5
    with floor_database() as url, bare_wsgi(url) as service:
        cases = {}
        for clients in (8, 1):
            cases[f"pgbench, {clients} clients"] = lambda clients=clients: pgbench(url, clients, seconds)
            cases[f"bare WSGI, {clients} connections"] = lambda clients=clients: (
                drive_bare_wsgi(service, clients, seconds).rate
            )
        runs = rounds(cases, 2 if options.quick else 5)
    emit("floor", [row(case, "completions/s", of_case) for case, of_case in runs.items()])


if __name__ == "__main__":
    main()
