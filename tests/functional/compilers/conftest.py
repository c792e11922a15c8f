"""What the tests of the compiler share lives with its unit tests."""

import sys
from pathlib import Path

import pytest

from lazyengine.compilers import tasks

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "compilers"))


@pytest.fixture(autouse=True)
def runs_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler knows sub-workflows already, although the engine does not run them."""
    monkeypatch.setattr(tasks, "RUNS_WORKFLOWS", True)
