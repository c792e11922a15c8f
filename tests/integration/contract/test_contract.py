"""The service keeps to its OpenAPI document, whatever schemathesis sends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOKEN = "secret"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
DIAMOND = {
    "diamond": {
        "tasks": {
            "split": {"on-success": ["left", "right"]},
            "left": {"on-success": "merge"},
            "right": {"on-success": "merge"},
            "merge": {"join": "all"},
        }
    }
}
STEPS = {
    "RUNNING": [("/tasks/split", "SUCCESS")],
    "SUSPENDED": [
        ("/tasks/split", "SUCCESS"),
        ("", "SUSPENDED"),
        ("/tasks/left", "SUCCESS"),
        ("/tasks/right", "SUCCESS"),
    ],
    "SUCCESS": [(f"/tasks/{name}", "SUCCESS") for name in ("split", "left", "right", "merge")],
    "FAILURE": [("/tasks/split", "FAILURE")],
    "CANCELLED": [("", "CANCELLED")],
}
"""What brings an execution of the diamond into each state: PUTs of a state to a path below it."""
DOOMED = [f"00000000-0000-4000-8000-{number:012}" for number in range(100, 200)]
"""Executions to be deleted; those of `STEPS` have the numbers from 1."""
DOOMED_WORKFLOWS = [f"doomed{number}" for number in range(100)]


@pytest.fixture
def service(serve):
    """A service that asks for a token and has executions in all states."""
    service = serve("--workers", "2", LAZYENGINE_AUTH_TOKENS=f"alice:{TOKEN}")
    for number, (state, steps) in enumerate(STEPS.items(), 1):
        make(service, f"00000000-0000-4000-8000-{number:012}", steps, state)
    for execution_id in DOOMED:
        make(service, execution_id, STEPS["CANCELLED"], "CANCELLED")
    for definition in (DIAMOND, dict.fromkeys(DOOMED_WORKFLOWS, DIAMOND["diamond"])):
        assert service.request("POST", "/workflows", {"definition": definition}, **AUTHORIZED)[0] == 201
    return service


def make(service, execution_id, steps, state):
    """Make an execution and bring it into a state."""
    body = {"definition": DIAMOND, "id": execution_id}
    if execution_id not in DOOMED:
        body["notify"] = [{"url": "http://127.0.0.1:9/nobody"}]  # no dispatcher runs: they wait
    assert service.request("POST", "/executions", body, **AUTHORIZED)[0] == 201
    url = f"/executions/{execution_id}"
    for path, wish in steps:
        assert service.request("PUT", url + path, {"state": wish}, **AUTHORIZED)[0] == 200
    assert service.request("GET", url, **AUTHORIZED)[1]["state"] == state


def tokens(service):
    """Return the ends of all callback URLs of the executions that there are for reading."""
    ids = [f"00000000-0000-4000-8000-{number:012}" for number, _ in enumerate(STEPS, 1)]
    tasks = [
        task for one in ids for task in service.request("GET", f"/executions/{one}/tasks", **AUTHORIZED)[1]["tasks"]
    ]
    return [task["callback_url"].rpartition("/")[2] for task in tasks if task["callback_url"]]


def notifications(service):
    """Return the ids of the notifications that wait."""
    found = service.request("GET", "/notifications", **AUTHORIZED)[1]["notifications"]
    assert len(found) == len([state for state in STEPS if state in ("SUCCESS", "FAILURE", "CANCELLED")])
    return [one["id"] for one in found]


def test_the_service_keeps_to_its_document(service, tmp_path):
    """A good thousand valid and invalid requests, alone and in sequence, meet no answer that is not documented."""
    configuration = (HERE / "schemathesis.toml").read_text()
    (tmp_path / "schemathesis.toml").write_text(configuration.replace('["NOTIFICATIONS"]', str(notifications(service))))
    (tmp_path / "doomed.txt").write_text("\n".join(f'"{one}"' for one in DOOMED))
    (tmp_path / "doomed_workflows.txt").write_text("\n".join(f'"{one}"' for one in DOOMED_WORKFLOWS))
    (tmp_path / "tokens.txt").write_text("\n".join(f'"{one}"' for one in tokens(service)))
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--no-color"],
        cwd=tmp_path,
        env=os.environ | {"TOKEN": TOKEN, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Tested: 26" in run.stdout
    assert " 500 " not in service.text(), service.text()[-4000:]
