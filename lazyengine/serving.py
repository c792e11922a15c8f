"""How gunicorn serves the application: this module is its configuration file, for `lazyengine serve` and others alike.

Threads, not one process a request: a request mostly waits for the database, and keep-alive spares the connection.  No
database connection is opened before the fork (`lazyengine.wsgi` opens it at a worker's first request).
"""

import ipaddress
import logging
import os
import resource
import shutil
import tempfile
import time
from typing import Any

from lazyengine.auth import Authenticator
from lazyengine.balancing import HEADCOUNT
from lazyengine.callbacks import UNSPECIFIED
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.errors import SettingsInvalid
from lazyengine.registry import registered_flows
from lazyengine.settings import Settings, load
from lazyengine.supervisor import PUBLIC_URL, READY_PIPE

_settings = load({})
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that prometheus_client looks at as it is imported."""

# -- gunicorn's settings ----------------------------------------------------------------------------------------------

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.workers
threads = _settings.threads
worker_class = "lazyengine.parking.ParkingWorker"
worker_connections = 10_000  # those that wait hold a connection, and no thread
keepalive = 75
graceful_timeout = 75  # after SIGTERM, requests in flight have this long to finish; the longest may wait 60 seconds
loglevel = _settings.log_level
proc_name = "lazyengine"
control_socket_disable = True  # signals are enough; nothing else should be able to steer the service


def on_starting(server: Any) -> None:
    """Before anything listens: refuse an open door, make the embedded database ready, finish what a crash left."""
    allow_connections()
    check_exposure(_settings, [address[0] for address in server.cfg.address if isinstance(address, tuple)])
    prepare(_settings)

    share_metrics()


def on_exit(server: Any) -> None:
    """After the last worker."""
    shutil.rmtree(os.environ[MULTIPROCESS], ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    """After a worker, however it ended."""
    HEADCOUNT.leave(worker.age)


def when_ready(server: Any) -> None:
    """Say where it listens, to people and to whoever started this process to know it."""
    for listener in server.LISTENERS:
        print(f"lazyengine listens on {listener}", flush=True)  # noqa: T201
    address = str(server.LISTENERS[0])
    if (
        not _settings.public_url and _settings.host not in UNSPECIFIED and address.startswith("http")
    ):  # the workers, which come after this, read it
        os.environ[PUBLIC_URL] = address
    if pipe := os.environ.pop(READY_PIPE, ""):
        with os.fdopen(int(pipe), "w") as ready:
            ready.write(address)


def post_fork(server: Any, worker: Any) -> None:
    """Write the log of the application beside gunicorn's own, without looking up what its lines do not tell.

    Measured, amid other work: 26 microseconds of CPU for a line in place of 32.
    """
    logging.logThreads = logging.logMultiprocessing = False  # gunicorn tells the process
    logging._srcfile = None  # where it was logged; so says the HOWTO of logging, "Optimization"
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=loglevel.upper(), handlers=[handler])


class LineFormatter(logging.Formatter):
    """Formats the time once a second, and the milliseconds for each line."""

    _known = (0, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second = int(record.created)
        if self._known[0] != second:
            self._known = second, time.strftime(self.default_time_format, self.converter(second))
        return f"{self._known[1]},{int(record.msecs):03d}"


# -- what the hooks do ------------------------------------------------------------------------------------------------


def allow_connections() -> None:
    """Let the processes to come hold as many connections as the system lets them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def share_metrics() -> None:
    """Give the workers to come a directory, where prometheus_client keeps what it adds up over all of them.

    A master that takes over from another one (SIGUSR2) has another directory.
    """
    os.environ[MULTIPROCESS] = tempfile.mkdtemp(prefix="lazyengine-metrics-")


def check_exposure(settings: Settings, hosts: list[str]) -> None:
    """Refuse to serve everybody on the network without asking who they are.

    :raises SettingsInvalid: an address is not loopback, there are no tokens, and nobody allowed it
    """
    exposed = [host for host in hosts if not _is_loopback(host)]
    if exposed and not Authenticator(settings).enabled and not settings.allow_unauthenticated:
        raise SettingsInvalid(
            reason=f"{exposed[0]} can be reached from other machines and there are no auth_tokens; "
            "set some, listen on 127.0.0.1, or set allow_unauthenticated"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def prepare(settings: Settings) -> None:
    """Create or upgrade an SQLite file (a server's schema is its operator's), and carry on with what a crash left.

    :raises SettingsInvalid: the flows do not make sense
    """
    flows = registered_flows(settings)
    database = Database(settings)
    if database.dialect == "sqlite":
        database.upgrade()
        Engine(database, settings, flows=flows).carry_on_everywhere()
    database.dispose()
