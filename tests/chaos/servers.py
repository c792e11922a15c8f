"""A PostgreSQL and a RabbitMQ of our own, to be killed at will: nobody else's are touched."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, listens: bool = True) -> None:
    """
    :raises TimeoutError: nobody listens there, or somebody still does
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if (probe.connect_ex(("127.0.0.1", port)) == 0) is listens:
                return
        time.sleep(0.05)
    raise TimeoutError(f"port {port} is {'closed' if listens else 'still open'}")


def find_postgresql() -> Path | None:
    """Return the directory of the newest PostgreSQL server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    named = shutil.which("pg_ctl")
    return found[-1].parent if found else Path(named).parent if named else None


class PostgreSQL:
    """A server with durable defaults in a directory of its own."""

    name = "postgresql"

    def __init__(self, directory: Path) -> None:
        programs = find_postgresql()
        if programs is None:
            raise FileNotFoundError("no PostgreSQL server is installed")
        self.programs, self.data, self.port = programs, directory / "postgresql", free_port()
        self.data.mkdir()
        self.identity: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self.identity:
            shutil.chown(self.data, "postgres", "postgres")
            for parent in (directory, *directory.parents)[:3]:
                parent.chmod(parent.stat().st_mode | 0o011)  # the server has to find its way to its directory
        self.run("initdb", "--auth=trust", "--username=postgres", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.data), *arguments]
        with (self.data.parent / "postgresql.out").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd="/", **self.identity)

    def start(self) -> None:
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c max_connections=200"
        self.run("pg_ctl", "-w", "-t", "60", "-l", str(self.data / "log"), "-o", options, "start")

    def restart(self) -> None:
        """Stop without any farewell, and start again with a recovery."""
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")
        self.start()

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-m", "immediate", "stop")


class RabbitMQ:
    """A broker node of its own name, with its own ports and directories."""

    name = "rabbitmq"

    def __init__(self, directory: Path) -> None:
        if not RABBITMQ.exists():
            raise FileNotFoundError("no RabbitMQ is installed")
        self.directory, self.port = directory / "rabbitmq", free_port()
        self.directory.mkdir()
        (self.directory / "enabled_plugins").write_text("[].")
        self.environ = {
            **os.environ,
            "HOME": str(self.directory),
            "RABBITMQ_NODENAME": f"chaos{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        with (self.directory / "out").open("ab") as log:
            self.process = subprocess.Popen(
                [RABBITMQ], env=self.environ, stdout=log, stderr=log, start_new_session=True
            )
        wait_for_port(self.port)

    def restart(self) -> None:
        """Kill the node and start it again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        assert self.process is not None
        end_group(self.process)
        wait_for_port(self.port, listens=False)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and those that it has started, as it leads a session of its own."""
    if process.poll() is None:
        os.killpg(process.pid, 9)
    process.wait()


def environment(**variables: Any) -> Mapping[str, str]:
    """Return the environment of a process of the service: what is set outside for it does not count."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("LAZYENGINE_")}
    return others | {name: str(value) for name, value in variables.items()}
