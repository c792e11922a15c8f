import pytest

from lazyengine.compilers import tasks


@pytest.fixture(autouse=True)
def runs_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler knows sub-workflows already, although the engine does not run them."""
    monkeypatch.setattr(tasks, "RUNS_WORKFLOWS", True)
