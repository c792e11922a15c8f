"""Where things run: databases that go away again, services on loopback, and the processor time of processes."""

import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine, make_url, text

from lazyengine.db.database import Database
from lazyengine.settings import Settings

SERVERS = {
    "postgresql": os.environ.get("LAZYENGINE_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1/postgres"),
    "mysql": os.environ.get("LAZYENGINE_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1/test"),
}
BACKENDS = ("postgresql", "mysql", "sqlite")
NAMES = {"postgresql": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite"}
WORKERS, THREADS = 2, 8
"""Of a service that is measured, ours or the floor."""

_listens = re.compile(r"(?:listens on|Listening at:) (?:\S+ )?http://127\.0\.0\.1:(\d+)")
_tick_seconds = 1 / os.sysconf("SC_CLK_TCK")


@contextmanager
def empty_database(backend: str) -> Iterator[str]:
    """Create a database without any tables; give its URL; drop it in the end."""
    if backend == "sqlite":
        with TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/bench.db"
        return
    server = create_engine(SERVERS[backend], isolation_level="AUTOCOMMIT")
    name = f"lazyengine_bench_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(SERVERS[backend]).set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if backend == "postgresql" else ""
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}{force}"))
        server.dispose()


@contextmanager
def database(backend: str) -> Iterator[str]:
    """Give the URL of a new database with the newest schema."""
    with empty_database(backend) as url:
        made = Database(Settings(database_url=url))
        made.upgrade()
        made.dispose()
        yield url


class Service:
    """A service that runs.

    :param port: on 127.0.0.1
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    @property
    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        return children(self.process.pid)


@contextmanager
def serve(url: str, **settings: object) -> Iterator[Service]:
    """Run the API over a database, as `lazyengine serve --api-only` does."""
    with running([sys.executable, "-m", "lazyengine", "serve"], service_environ(url, **settings)) as service:
        yield service


def service_environ(url: str, **settings: object) -> dict[str, str]:
    """Return the variables that tell a service its settings."""
    values = {"database_url": url, "workers": WORKERS, "threads": THREADS, "port": 0, "api_only": True} | settings
    return {f"LAZYENGINE_{name.upper()}": str(value) for name, value in values.items()}


@contextmanager
def running(command: list[str], environ: dict[str, str]) -> Iterator[Service]:
    """Run a service that says on which port of 127.0.0.1 it listens; end it with SIGTERM."""
    with TemporaryDirectory() as directory, (Path(directory) / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | environ, stdout=log, stderr=log)
        try:
            while not (found := _listens.search(Path(log.name).read_text())):
                if process.poll() is not None:
                    raise SystemExit(Path(log.name).read_text())
                time.sleep(0.05)
            yield Service(process, int(found[1]))
        finally:
            process.terminate()
            process.wait()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time that processes have taken, their own and the kernel's for them."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * _tick_seconds


def resident_bytes(pid: int) -> int:
    """Return the memory that a process alone holds (USS)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in rows if line.startswith("Private_"))


def server_processes(url: str) -> list[int]:
    """Return the ids of the processes of PostgreSQL that serve a database.

    Those that write the log and the pages for all databases are not among them.
    """
    engine = create_engine(SERVERS["postgresql"])
    with engine.connect() as connection:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = :name AND backend_type = 'client backend'")
        found = list(connection.execute(query, {"name": make_url(url).database}).scalars())
    engine.dispose()
    return found
