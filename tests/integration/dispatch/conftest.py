"""Real brokers and endpoints; dispatchers in threads of this process, or in processes of their own."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest

from tests.conftest import unavailable

sys.path.insert(0, str(Path(__file__).parents[2] / "functional" / "engine"))

from dispatching import Inbox

BROKERS = {"rabbitmq": "amqp://guest:guest@127.0.0.1//", "redis": "redis://127.0.0.1/0"}


def _answering(name: str) -> str:
    url = BROKERS[name]
    try:
        with kombu.Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except Exception as error:
        unavailable(f"no {name} at {url}: {error}")
    return url


@pytest.fixture
def rabbitmq() -> str:
    return _answering("rabbitmq")


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of each kind of broker."""
    return _answering(request.param)


@pytest.fixture
def queue() -> str:
    """The name of a queue that nobody else uses."""
    return f"lazyengine-test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def inbox(broker: str, queue: str) -> Iterator[Inbox]:
    """What arrives in the queue."""
    with Inbox(broker, queue) as inbox:
        yield inbox
