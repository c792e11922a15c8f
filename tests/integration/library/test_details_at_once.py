"""Eight processes that are ready complete the branches of one flow detail in the same moment."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lazyengine.controller import Controller
from tests.integration.library import process_flows
from tests.integration.library.conftest import DETAILS, stores
from tests.integration.library.test_details_killed import read

ROUNDS = 4


@pytest.fixture(params=["dir", "sqlite", "postgresql", "mysql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    yield from stores(DETAILS + request.param, tmp_path)


def complete(store: dict[str, str], execution: str, number: int, ready: Any) -> None:
    with Controller(store, executor=None) as controller:
        controller.get_state(execution)
        ready.wait(60)
        for _ in range(2):
            controller.complete_task(execution, f"b{number}", number)


def test_what_follows_begins_once(store: dict[str, str]) -> None:
    fork = multiprocessing.get_context("fork")
    for _ in range(ROUNDS):
        with Controller(store, executor=None) as controller:
            execution = controller.start(process_flows.branches, store={"log": "unused"})
        ready = fork.Barrier(8)
        processes = [fork.Process(target=complete, args=(store, execution, number, ready)) for number in range(8)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(100)
        assert [process.exitcode for process in processes] == [0] * 8
        found = read(store, execution)
        assert {name: found[name].results for name in found if name.startswith("b")} == {f"b{n}": n for n in range(8)}
        assert (found["last"].state, found["last"].meta["lazyengine"]["attempt"]) == ("RUNNING", 1)
