import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import new_database
from tests.integration.library import verbs

OWN, DETAILS = "own store, ", "flow details, "
PATIENCE_SECONDS = 120

FORKED = multiprocessing.get_context("forkserver")
"""Processes that begin with all modules at hand, and with nothing else: importing them would take most of the time."""
FORKED.set_forkserver_preload(["pytest", verbs.__name__])
ANEW = multiprocessing.get_context("spawn")
"""Processes that begin with nothing, not even with the same hashes of strings."""


class Call:
    """A call of the library door that is under way in a process of its own."""

    def __init__(self, context: Any, store: Any, verb: str, *arguments: Any) -> None:
        self.answers, answering = context.Pipe(duplex=False)
        self.process = context.Process(target=verbs.make, args=(answering, store, verb, *arguments))
        self.process.start()
        answering.close()

    def answer(self) -> tuple[Any, str | None]:
        """Return the answer, or else the name of the error, as soon as it is there: tasks may go on then."""
        assert self.answers.poll(PATIENCE_SECONDS)
        return self.answers.recv()

    def ended(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        self.process.join(PATIENCE_SECONDS)
        return self.process.exitcode


class Calls:
    """Calls of the library door over one store, each in a process of its own."""

    def __init__(self, store: Any, context: Any) -> None:
        self.store, self.context = store, context

    def begin(self, verb: str, *arguments: Any) -> Call:
        return Call(self.context, self.store, verb, *arguments)

    def __call__(self, verb: str, *arguments: Any) -> Any:
        call = self.begin(verb, *arguments)
        answer, refusal = call.answer()
        assert (refusal, call.ended()) == (None, 0)
        return answer

    def refused(self, verb: str, *arguments: Any) -> str | None:
        """Return the name of the error that a call raises."""
        return self.begin(verb, *arguments).answer()[1]


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
        yield Calls(store, FORKED)


@pytest.fixture(params=[OWN + "sqlite", DETAILS + "sqlite"])
def calls_anew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Calls]:
    for store in stores(request.param, tmp_path):
        yield Calls(store, ANEW)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """What flows are given: a log, and a gate that is closed."""
    (tmp_path / "log").touch()
    return {"log": str(tmp_path / "log"), "gate": str(tmp_path / "gate")}
