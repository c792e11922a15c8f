"""TaskFlow's own tests of its conductors, with jobs on a Redis server and flows that the engine `lazy` runs.

TaskFlow has them with ZooKeeper; a conductor claims a job, makes an engine for the flow detail in it, and runs that.
"""

import importlib
import os
import uuid
import warnings

import pytest
from taskflow.conductors import backends
from taskflow.jobs.base import REMOVAL
from taskflow.persistence.backends.impl_memory import MemoryBackend
from taskflow.types.notifier import Notifier

from tests.conftest import unavailable

NEEDED = ("etcd3gw", "fixtures", "kazoo", "oslotest", "redis", "testscenarios", "testtools")

if os.environ.get("CI") != "true":
    for needed in NEEDED:
        pytest.importorskip(needed, reason="TaskFlow's tests need it")

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("entry_point", "redis")]

with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
    warnings.simplefilter("ignore")
    utils = importlib.import_module("taskflow.tests.utils")
    patch.setattr(utils, "zookeeper_available", lambda min_version, timeout=30: False)
    conductors = importlib.import_module("taskflow.tests.unit.test_conductors")
    impl_redis = importlib.import_module("taskflow.jobs.backends.impl_redis")


@pytest.fixture(scope="session")
def redis():
    if not utils.redis_available(impl_redis.RedisJobBoard.MIN_REDIS_VERSION):
        unavailable(f"no Redis server on port {utils.REDIS_PORT}")


class NotifyingBoard(impl_redis.RedisJobBoard):
    """Tells when a job is gone, as the ZooKeeper board does, which is told by its server."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.notifier = Notifier()

    def consume(self, job, who):
        super().consume(job, who)
        self.notifier.notify(REMOVAL, {"job": job})


def make_components(self):
    namespace = f"taskflow-{uuid.uuid4()}".encode()
    client, persistence = impl_redis.ru.RedisClient(port=utils.REDIS_PORT), MemoryBackend()
    board = NotifyingBoard("testing", {"namespace": namespace}, client=client, persistence=persistence)
    self.addCleanup(client.close)
    self.addCleanup(lambda: [client.delete(key) for key in client.scan_iter(namespace + b"*")])
    options = {**self.conductor_kwargs, "persistence": persistence, "engine": "lazy"}
    return conductors.ComponentBundle(board, persistence, backends.fetch(self.kind, "testing", board, **options))


for scenario, settings in conductors.ManyConductorTest.scenarios:
    name = "Test" + scenario.title().replace("_", "")
    body = {
        "__module__": __name__,
        "__unittest_skip__": False,  # there is no ZooKeeper, and none is needed
        "make_components": make_components,
        "scenarios": [],
        **settings,
    }
    globals()[name] = type(name, (conductors.ManyConductorTest,), body)
