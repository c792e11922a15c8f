"""Mistral calls lazyengine: start both, let workflows of the one run workflows of the other, and stop everything.

    python3 -m venv mistral && mistral/bin/pip install mistral 'setuptools<81' PyMySQL
    python examples/mistral/run.py mistral/bin/python

Mistral needs a RabbitMQ and a MariaDB; it gets a database of its own, which is dropped in the end, and queues that go
by themselves.  It takes half a minute, most of which Mistral needs to make its tables.
"""

import argparse
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60


def main():
    options = argparse.ArgumentParser()
    named = os.environ.get("LAZYENGINE_TEST_MISTRAL_PYTHON")
    options.add_argument("python", nargs=None if named is None else "?", default=named, help="of Mistral's environment")
    options.add_argument("--mysql", default="mysql+pymysql://root@127.0.0.1", help="a server that may create databases")
    options.add_argument(
        "--amqp", default="rabbit://guest:guest@127.0.0.1:5672/", help="a broker, as oslo.messaging has it"
    )
    options = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as started:
        os.chdir(directory)
        try:
            mistral = start_mistral(options, started)
            print("lazyengine and the receiver start", flush=True)
            lazyengine, receiver = start_ours(mistral, started)
            ends = [ask(mistral, lazyengine, receiver, name) for name in ("Ada", "")]
        except Exception:
            for log in Path(directory).glob("*.log"):
                print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
            raise
    return 0 if ends == ["SUCCESS", "ERROR"] else 1


def start_mistral(options, started):
    """Bring up Mistral's API, engine and executor; return the URL of the API."""
    name = f"lazyengine_mistral_{secrets.token_hex(4)}"
    port = free_port()
    names = {"name": name, "port": port, "transport_url": options.amqp}
    names["database_url"] = started.enter_context(database(options.mysql, name))
    Path("mistral.conf").write_text(string.Template((HERE / "mistral.conf").read_text()).substitute(names))
    commands = Path(options.python).absolute().parent
    print("Mistral makes its tables", flush=True)
    with open("tables.log", "wb") as log:
        upgrade = [commands / "mistral-db-manage", "--config-file", "mistral.conf", "upgrade", "head"]
        subprocess.run(upgrade, stdout=log, stderr=log, check=True)
    print("Mistral starts", flush=True)
    server = [commands / "mistral-server", "--config-file", "mistral.conf", "--server", "api,engine,executor"]
    process = started.enter_context(running("mistral", server))
    return listening(process, port)


def start_ours(mistral, started):
    """Bring up lazyengine, which signs its notifications, and who receives them; return the URLs of both."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    port = free_port()
    settings = {"LAZYENGINE_WEBHOOK_SECRETS": secret, "LAZYENGINE_OUTBOUND_ALLOW": "127.0.0.0/8"}
    serve = [sys.executable, "-m", "lazyengine", "serve", "--port", str(port)]
    lazyengine = listening(started.enter_context(running("lazyengine", serve, **settings)), port)
    port = free_port()
    receive = [sys.executable, HERE / "receiver.py", mistral, "--port", str(port)]
    receiver = listening(started.enter_context(running("receiver", receive, WEBHOOK_SECRET=secret)), port)
    send("POST", f"{mistral}/v2/workflows", (HERE / "mistral.yaml").read_text(), "text/plain")
    send("POST", f"{lazyengine}/workflows", {"definition": (HERE / "lazyengine.yaml").read_text()})
    return lazyengine, receiver


def ask(mistral, lazyengine, receiver, name):
    """Let Mistral run its workflow, and return the state in which that ends."""
    start = {"workflow_name": "ask", "input": {"lazyengine": lazyengine, "receiver": receiver, "name": name}}
    execution = send("POST", f"{mistral}/v2/executions", start)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while execution["state"] == "RUNNING":
        if time.monotonic() > deadline:
            raise TimeoutError(f"Mistral still waits: {execution}")
        time.sleep(0.2)
        execution = send("GET", f"{mistral}/v2/executions/{execution['id']}")
    task = send("GET", f"{mistral}/v2/tasks?workflow_execution_id={execution['id']}")["tasks"][0]
    result = send("GET", f"{mistral}/v2/tasks/{task['id']}")["result"]
    print(f"{execution['state']}: {result}", flush=True)
    return execution["state"]


def send(method, url, body=None, media_type="application/json"):
    text = body if isinstance(body, str) else json.dumps(body)
    request = urllib.request.Request(url, text.encode() if body else None, {"Content-Type": media_type}, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@contextlib.contextmanager
def database(server, name):
    """Create a database, give its URL, drop it in the end."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))


@contextlib.contextmanager
def running(name, command, **environ):
    """Run a process, and in the end stop it with all that it has started."""
    with open(f"{name}.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=os.environ | environ)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            process.terminate()
            process.wait(3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(process, port):
    """Wait until a process listens, and return where."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    raise TimeoutError(f"{process.args[0]} does not listen")


if __name__ == "__main__":
    sys.exit(main())
