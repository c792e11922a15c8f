"""A process is killed at its writes to TaskFlow's persistence; another one carries on from what is there.

In a directory, which has no transactions, at every third write, before it or after it; under LAZYENGINE_TEST_FULL=1 at
every write of each, before it and after it.
"""

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
from taskflow.persistence.models import FlowDetail
from taskflow.storage import Storage
from taskflow.utils.persistence_utils import create_flow_detail

from lazyengine.controller import Controller
from tests.integration.library import process_flows
from tests.integration.library.conftest import DETAILS, stores

IN_FULL = os.environ.get("LAZYENGINE_TEST_FULL") == "1"
EVERY = {"dir": 3, "sqlite": 9}


@pytest.fixture(params=EVERY)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(backend: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    yield from stores(DETAILS + backend, tmp_path)


def deaths_of(backend: str) -> Iterator[tuple[int, bool]]:
    """Yield at which writes to die, and whether after them."""
    for write in count(step=1 if IN_FULL else EVERY[backend]):
        yield from [(write, False), (write, True)] if IN_FULL else [(write, write % 2 == 1)]


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
    return {one.name: one for one in detail_of(store, execution)}


def detail_of(store: dict[str, str], execution: str) -> FlowDetail:
    with closing(backends.fetch(store)) as backend, closing(backend.get_connection()) as connection:
        return connection.get_flow_details(execution)


def ended(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines())


def make_ready(store: dict[str, str]) -> str:
    """Save a flow detail that is new, and return its uuid."""
    with closing(backends.fetch(store)) as backend:
        with closing(backend.get_connection()) as connection:
            connection.upgrade()
        return str(create_flow_detail(process_flows.retried(), backend=backend).uuid)


def test_whichever_write_it_dies_at(backend: str, store: dict[str, str], tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    for deaths, (write, after) in enumerate(deaths_of(backend)):
        log = tmp_path / f"log{deaths}"
        log.touch()
        given, execution = {"log": str(log)}, make_ready(store)
        process = fork.Process(target=run_and_die, args=(store, execution, given, write, after))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        before = ended(log)
        recorded = {name for name, one in read(store, execution).items() if one.state == "SUCCESS"}
        with Controller(store) as controller:
            controller.start(process_flows.retried, execution=execution, store=given)
        found = detail_of(store, execution)
        states = {one.name: one.state for one in found if one.name in "abcdef"}
        assert (found.state, states) == ("SUCCESS", dict.fromkeys("abcdef", "SUCCESS")), (write, after)
        again = {name for name in recorded & set("abcdef") if ended(log)[name] != before[name]}
        assert all(ended(log)[f"-{name}"] > before[f"-{name}"] for name in again), (write, after, again)
    assert write > 60
