"""A real Mistral, with its RabbitMQ and its MariaDB, runs workflows of ours: the example, run as its reader would."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.conftest import SERVERS, unavailable

RUN = Path(__file__).parents[3] / "examples" / "mistral" / "run.py"
BROKER = ("127.0.0.1", 5672)


@pytest.fixture
def server() -> Iterator[Engine]:
    """The database server, where RabbitMQ answers too."""
    try:
        socket.create_connection(BROKER, timeout=2).close()
    except OSError as error:
        unavailable(f"no RabbitMQ at {BROKER[0]}:{BROKER[1]}: {error}")
    server = create_engine(SERVERS["mysql"])
    try:
        server.connect().close()
    except DBAPIError as error:
        unavailable(f"no MariaDB at {server.url!r}: {error.orig}")
    yield server
    server.dispose()


def databases(server: Engine) -> set[str]:
    with server.connect() as connection:
        return {name for name in connection.execute(text("SHOW DATABASES")).scalars() if "lazyengine_mistral" in name}


def test_mistral_waits_for_our_executions_and_ends_as_they_do(mistral_python: str, server: Engine) -> None:
    """`run.py`: a SUCCESS here ends Mistral's task with our output, a FAILURE with our reason; nothing stays behind."""
    before = databases(server)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LAZYENGINE_")}
    command = [sys.executable, RUN, mistral_python, "--mysql", SERVERS["mysql"]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.terminate()  # it stops what it has started
        process.wait(60)
    assert process.returncode == 0, out + err[-5000:]
    ends = {state: json.loads(result) for state, result in re.findall(r"^(SUCCESS|ERROR): (.*)$", out, re.MULTILINE)}
    assert ends["SUCCESS"]["state"] == "SUCCESS"
    assert ends["SUCCESS"]["output"] == {"greeting": "Hello, Ada"}
    assert ends["ERROR"]["state"] == "FAILURE"
    assert ends["ERROR"]["state_info"] == "Nobody to greet"
    assert databases(server) <= before
