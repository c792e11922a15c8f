"""A service that a whole file of attacks shares; after each of them it has to be what it was before."""

import time

import pytest

from tests.integration.badinput.attacker import PATIENCE_SECONDS, Attacker, forget_peak, peak_megabytes, workers_of
from tests.integration.conftest import Service

WORKERS = 2

MOST_RUNS = 5_000
"""Of one task."""

MOST_MEGABYTES = 700.0
"""Of a worker, at its peak, which is 500 for a workflow of 100,000 tasks and below 200 for all the rest."""


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A service with two workers on a SQLite file."""
    directory = tmp_path_factory.mktemp("victim")
    service = Service(directory, "--workers", str(WORKERS), LAZYENGINE_MAX_ITERATIONS=str(MOST_RUNS))
    yield service
    service.stop()
    service.kill()


@pytest.fixture(scope="module")
def workers(victim):
    """The worker processes that the service began with; the first answers before the last is forked."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(workers_of(victim.process.pid)) < WORKERS:
        assert time.monotonic() < deadline, "not all workers came up"
        time.sleep(0.05)
    assert Attacker(victim.port).send("GET", "/readyz").status == 200
    return workers_of(victim.process.pid)


@pytest.fixture
def attacker(victim, workers):
    """Somebody who sends bad input; the service neither dies, nor fails, nor swells from it."""
    logged = len(victim.text())
    for worker in workers:
        forget_peak(worker)
    attacker = Attacker(victim.port)
    yield attacker
    assert attacker.send("GET", "/healthz").status == 200
    assert attacker.send("GET", "/readyz").status == 200
    assert workers_of(victim.process.pid) == workers, "a worker died"
    said = victim.text()[logged:]
    assert " 500 " not in said, said[-4000:]
    assert "Traceback" not in said, said[-4000:]
    assert max(map(peak_megabytes, workers)) < MOST_MEGABYTES
