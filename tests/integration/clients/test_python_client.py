"""A Python client that openapi-python-client generates from the live document is complete, typed and works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
METHODS = {
    "executions": {
        "start_execution",
        "list_executions",
        "get_execution",
        "get_graph",
        "update_execution",
        "rerun_task",
        "delete_execution",
        "list_events",
        "list_notifications",
        "replay_notification",
    },
    "tasks": {"list_tasks", "get_task", "complete_task", "complete_tasks", "call_back"},
    "claims": {"claim_tasks"},
    "workflows": {
        "store_workflows",
        "replace_workflows",
        "list_workflows",
        "get_workflow",
        "delete_workflow",
        "validate_definition",
    },
    "service": {"get_versions", "get_openapi", "get_health", "get_readiness", "get_metrics"},
}
TYPES = {
    "task.py": ["claimed_by: None | str", "failure: Failure | None", "result: Any", "state: TaskState", "name: str"],
    "execution.py": ["output: Any", "finished_at: datetime.datetime | None", "state: ExecutionState", "id: UUID"],
    "workflow.py": ["definition: JsonObject | None | str", "revision: int", "input_: list[WorkflowInput]"],
    "workflow_input.py": ["default: Any", "required: bool"],
    "execution_start.py": [
        "definition: JsonObject | str | Unset = UNSET",
        "workflow: str | Unset = UNSET",
        "id: UUID | Unset = UNSET",
    ],
    "execution_summary.py": ["output: Any | Unset = UNSET"],
    "task_success.py": ['state: Literal["SUCCESS"]', "attempt: int | Unset = UNSET", "result: Any | Unset = UNSET"],
    "claim_request.py": ["worker: str", "targets: list[str] | Unset = UNSET", "limit: int | Unset = UNSET"],
}
"""By model: the attributes whose types would betray a careless document."""


@pytest.fixture
def service(serve):
    return serve()


@pytest.fixture
def package(service, tmp_path):
    """The directory of the generated package; nothing in the document was too much for the generator."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    options = [
        "--config",
        str(HERE / "openapi-python-client.yaml"),
        "--output-path",
        str(tmp_path / "lazyengine_client"),
    ]
    run = subprocess.run(
        [*command, "--url", f"{service.url}/openapi.json", *options], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "warning" not in (run.stdout + run.stderr).lower()
    return tmp_path / "lazyengine_client"


def test_the_methods_have_pleasant_names(package):
    """Each operation is a function with the name of its operationId, in a module of its tag."""
    modules = {
        tag.name: {module.stem for module in tag.glob("[a-z]*.py")}
        for tag in (package / "api").iterdir()
        if tag.is_dir()
    }
    assert {tag: names for tag, names in modules.items() if not tag.startswith("__")} == METHODS


def test_the_types_are_right(package):
    """What may be null is nullable, what may be left out has a default, what is any JSON is Any."""
    for model, attributes in TYPES.items():
        text = (package / "models" / model).read_text().replace("'", '"')
        assert [attribute for attribute in attributes if f"\n    {attribute}\n" not in text] == [], model


def test_the_client_drives_a_diamond(package, service):
    """A start, a list, completions, a refusal and a look: every answer parses into the type that was promised."""
    run = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "python_diamond.py"), service.url],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (0, "SUCCESS\n"), run.stdout + run.stderr
