"""The service as its operator runs it: one command, real processes, real signals."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lazyengine.db.database import Database
from lazyengine.db.migrations import head
from lazyengine.engine import Engine
from lazyengine.records import Start
from lazyengine.settings import Settings

REPOSITORY = Path(__file__).parents[3]
CHAIN = {"chain": {"tasks": {"a": {"on-success": "b"}, "b": {}}}}
DONE = {"state": "SUCCESS"}


def test_embedded_database_is_made_and_the_service_says_where_it_listens(serve):
    """Nothing has to be set up: after one command the service is ready."""
    service = serve()
    assert service.request("GET", "/healthz")[0] == 200
    assert service.request("GET", "/readyz")[0] == 200
    assert f"lazyengine listens on http://127.0.0.1:{service.port}" in service.text()


def test_killed_and_started_again_it_goes_on(serve):
    """What was answered before a SIGKILL of every process is there after it."""
    first = serve()
    status, execution = first.request("POST", "/executions", {"definition": CHAIN})
    assert status == 201
    path = f"/executions/{execution['id']}"
    assert first.request("PUT", f"{path}/tasks/a", DONE)[0] == 200
    first.kill()
    second = serve()
    assert second.request("PUT", f"{path}/tasks/a", DONE)[1]["replayed"] is True
    assert second.request("PUT", f"{path}/tasks/b", DONE)[1]["execution"]["state"] == "SUCCESS"


def test_sigterm_lets_requests_in_flight_finish(serve):
    """A request that waits when SIGTERM comes is answered with what there is, and the service ends with status 0."""
    service = serve()
    _, execution = service.request("POST", "/executions", {"definition": CHAIN})
    path = f"/executions/{execution['id']}"
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(service.request("GET", f"{path}?wait_seconds=60")))
    waiting.start()
    time.sleep(1)
    assert service.stop() == 0
    waiting.join()
    assert answers[0][0] == 200
    assert answers[0][1]["state"] == "RUNNING"


def test_leftover_of_a_crash_is_carried_on_with_at_the_start(serve, tmp_path):
    """An execution that died between two transactions of its own ends without anybody asking for it."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'lazyengine.db'}", steps_per_transaction=5)
    database = Database(settings)
    database.upgrade()
    engine = Engine(database, settings)
    engine.carry_on = lambda owner, execution_id: None  # the process dies here
    tasks = {f"t{n}": {"action": "std.noop", "on-success": f"t{n + 1}"} for n in range(20)}
    tasks["t20"] = {"action": "std.noop"}
    started = engine.start_execution("", Start({"chain": {"tasks": tasks}}, "digest"))
    database.dispose()
    assert started.execution.state == "RUNNING"
    service = serve()
    assert service.request("GET", f"/executions/{started.execution.id}")[1]["state"] == "SUCCESS"


def test_gunicorn_serves_with_the_configuration_file(serve):
    """`gunicorn -c gunicorn.conf.py lazyengine.wsgi:application` is the same service."""
    gunicorn = (sys.executable, "-m", "gunicorn", "-c", str(REPOSITORY / "gunicorn.conf.py"))
    service = serve("lazyengine.wsgi:application", command=gunicorn, LAZYENGINE_PORT="0")
    assert service.request("GET", "/readyz")[0] == 200
    assert service.stop() == 0


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LAZYENGINE_")}
    return subprocess.run(
        [sys.executable, "-m", "lazyengine", *arguments],
        env=variables | environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_open_door_is_refused(host):
    """Without tokens the service does not listen where other machines reach it."""
    ended = run("serve", "--host", host, "--port", "0")
    assert ended.returncode == 1
    assert "auth_tokens" in ended.stderr


def test_tokens_open_the_door_to_their_owners_only(serve):
    """With tokens every address may be listened on, and each request has to bring one."""
    service = serve("--host", "0.0.0.0", LAZYENGINE_AUTH_TOKENS="alice:s3cret bob:t0ken")
    assert service.request("GET", "/executions")[0] == 401
    alice, bob = {"Authorization": "Bearer s3cret"}, {"Authorization": "Bearer t0ken"}
    _, execution = service.request("POST", "/executions", {"definition": CHAIN}, **alice)
    assert service.request("GET", f"/executions/{execution['id']}", None, **alice)[0] == 200
    assert service.request("GET", f"/executions/{execution['id']}", None, **bob)[0] == 404
    assert "s3cret" not in service.text()


def test_allow_unauthenticated_is_taken_at_its_word(serve):
    """Who says so may serve everybody."""
    assert serve("--host", "0.0.0.0", "--allow-unauthenticated").request("GET", "/readyz")[0] == 200


def test_db_commands_migrate_and_tell(tmp_path):
    """`db upgrade` makes the schema and `db current` names it."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert run("db", "current", "--database-url", url).stdout.strip() == "no schema yet"
    assert run("db", "upgrade", "--database-url", url).stdout.strip() == head()
    assert run("db", "current", LAZYENGINE_DATABASE_URL=url).stdout.strip() == head()


def test_settings_come_from_a_file_and_its_faults_are_named(tmp_path):
    """A TOML file holds the same settings; a wrong one is named and nothing starts."""
    file = tmp_path / "lazyengine.toml"
    file.write_text(f'database_url = "sqlite:///{tmp_path / "from-file.db"}"\n')
    assert run("db", "upgrade", "--config", str(file)).returncode == 0
    assert (tmp_path / "from-file.db").exists()
    file.write_text("workres = 2\n")
    ended = run("serve", LAZYENGINE_CONFIG=str(file))
    assert ended.returncode == 1
    assert "workres" in ended.stderr


def test_a_killed_worker_is_replaced(serve):
    """SIGKILL of one worker process costs nothing but its own connections."""
    service = serve("--workers", "2")
    children = subprocess.run(
        ["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    deadline = time.monotonic() + 20
    answered = 0
    while answered < 5 and time.monotonic() < deadline:
        try:
            answered += service.request("GET", "/readyz")[0] == 200
        except OSError:
            time.sleep(0.1)
    assert answered == 5
