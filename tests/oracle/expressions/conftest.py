"""Mistral in an environment of its own, as an oracle.

``LAZYENGINE_TEST_MISTRAL_PYTHON`` names the Python of an environment that has what is required; without it one is made,
once, below ``~/.cache/lazyengine``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lazyengine.compilers.expressions import Evaluator
from lazyengine.settings import Settings
from tests.conftest import unavailable

VERSION = "23.0.0"
REQUIRED = (f"mistral=={VERSION}", "setuptools<81", "PyMySQL")
DRIVER = Path(__file__).with_name("mistral_driver.py")


@pytest.fixture(scope="session")
def mistral_python() -> str:
    """The Python of an environment with Mistral."""
    if named := os.environ.get("LAZYENGINE_TEST_MISTRAL_PYTHON"):
        return named
    directory = Path.home() / ".cache" / "lazyengine" / f"mistral-{VERSION}"
    python = directory / "bin" / "python"
    complete = directory / "complete"
    if not complete.exists() or complete.read_text() != " ".join(REQUIRED):
        try:
            subprocess.run([sys.executable, "-m", "venv", directory], check=True, capture_output=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *REQUIRED], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            unavailable(f"Mistral cannot be installed: {error.stderr.decode()[-300:]}")
        complete.write_text(" ".join(REQUIRED))
    return str(python)


@pytest.fixture(scope="session")
def mistral(mistral_python: str) -> Callable[[list[Any]], list[dict[str, Any]]]:
    """Mistral's outcomes of [value, view] pairs: {"value": …} or {"error": …}."""

    def outcomes(jobs: list[Any]) -> list[dict[str, Any]]:
        environment = os.environ | {"PYTHONHASHSEED": "0"}  # as in the evaluator: sets are listed in the same order
        run = subprocess.run(
            [mistral_python, DRIVER], input=json.dumps(jobs), capture_output=True, text=True, env=environment
        )
        assert not run.returncode, run.stderr[-3000:]
        told: list[dict[str, Any]] = json.loads(run.stdout.rsplit("\n", 2)[1])
        return told

    return outcomes


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    evaluator = Evaluator(Settings(expression_timeout_seconds=10.0))
    yield evaluator
    evaluator.close()
