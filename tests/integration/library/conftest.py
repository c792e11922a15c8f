import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import new_database

ROOT = Path(__file__).parents[3]
OWN, DETAILS = "own store, ", "flow details, "


class Calls:
    """Calls of the library door over one store, each in a process of its own."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def begin(self, verb: str, *arguments: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.integration.library.verbs"]
        texts = [json.dumps(one) for one in (self.store, verb, *arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*command, *texts], cwd=ROOT, text=True, **pipes)

    def end(self, process: "subprocess.Popen[str]") -> Any:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return json.loads(output)

    def __call__(self, verb: str, *arguments: Any) -> Any:
        return self.end(self.begin(verb, *arguments))

    def refused(self, verb: str, *arguments: Any) -> str:
        """Return the last line of what a call that is refused says."""
        process = self.begin(verb, *arguments)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        return errors.strip().splitlines()[-1]


def stores(kind: str, directory: Path) -> Iterator[Any]:
    family, backend = kind.split(", ")
    if backend == "dir":
        yield {"connection": "dir", "path": str(directory / "details")}
        return
    for url in new_database(backend, directory):
        yield url if family + ", " == OWN else {"connection": url}


KINDS = [OWN + "sqlite", OWN + "postgresql", DETAILS + "dir", DETAILS + "sqlite", DETAILS + "postgresql"]


@pytest.fixture(params=KINDS)
def calls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Calls]:
    for store in stores(request.param, tmp_path):
        yield Calls(store)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """What flows are given: a log, and a gate that is closed."""
    (tmp_path / "log").touch()
    return {"log": str(tmp_path / "log"), "gate": str(tmp_path / "gate")}
