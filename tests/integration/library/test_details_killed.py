"""A process is killed at each of its writes to TaskFlow's persistence; another one carries on from what is there."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from taskflow.persistence import backends
from taskflow.storage import Storage
from taskflow.utils.persistence_utils import create_flow_detail

from lazyengine.controller import Controller
from tests.integration.library import process_flows
from tests.integration.library.conftest import DETAILS, stores


@pytest.fixture(params=["dir", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    yield from stores(DETAILS + request.param, tmp_path)


def run_and_die(store: dict[str, str], execution: str, given: dict[str, str], write: int, after: bool) -> None:
    """Start a flow detail, and be killed at a write, counted from 0, before it or after it."""
    writes, save = count(), Storage._with_connection

    def dying(self: Storage, *args: Any, **more: Any) -> Any:
        number = next(writes)
        if number == write and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = save(self, *args, **more)
        if number == write:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    with mock.patch.object(Storage, "_with_connection", dying), Controller(store) as controller:
        controller.start(process_flows.retried, execution=execution, store=given)


def read(store: dict[str, str], execution: str) -> dict[str, Any]:
    with closing(backends.fetch(store)) as backend, closing(backend.get_connection()) as connection:
        return {one.name: one for one in connection.get_flow_details(execution)}


def ended(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines())


def test_whichever_write_it_dies_at(store: dict[str, str], tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    deaths = 0
    for write in range(0, 500, 3):
        log = tmp_path / f"log{write}"
        log.touch()
        given = {"log": str(log)}
        with closing(backends.fetch(store)) as backend:
            with closing(backend.get_connection()) as connection:
                connection.upgrade()
            execution = create_flow_detail(process_flows.retried(), backend=backend).uuid
        process = fork.Process(target=run_and_die, args=(store, execution, given, write, write % 2 == 1))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        deaths += 1
        before = ended(log)
        recorded = {name for name, one in read(store, execution).items() if one.state == "SUCCESS"}
        with Controller(store) as controller:
            controller.start(process_flows.retried, execution=execution, store=given)
        after = ended(log)
        found = {name: one.state for name, one in read(store, execution).items() if name in "abcdef"}
        with Controller(store, executor=None) as controller:
            assert controller.get_state(execution) == "SUCCESS", (write, found)
        assert found == dict.fromkeys("abcdef", "SUCCESS"), write
        again = {name for name in recorded & set("abcdef") if after[name] != before[name]}
        assert all(after[f"-{name}"] > before[f"-{name}"] for name in again), (write, again)
    assert deaths > 20
