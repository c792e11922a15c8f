"""Engines whose clock a test sets."""

import pytest
from driving import Clock

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(database: Database, settings: Settings, clock: Clock) -> Engine:
    """An engine over an empty database, by the clock that the test sets."""
    return Engine(database, settings, clock)
