"""The dispatcher: does what is due, and waits for the bell."""

import logging
import signal
import threading

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.errors import LazyEngineError
from lazyengine.settings import Settings

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""How late what is due may be."""


def dispatch(settings: Settings) -> None:
    """Do what is due until SIGTERM or SIGINT."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    database = Database(settings)
    engine = Engine(database, settings)
    while not stopped.is_set():
        try:
            engine.carry_on_everywhere()
            if engine.fire_due():
                continue
        except LazyEngineError as error:
            logger.warning("%s", error)
        stopped.wait(PAUSE_SECONDS)
    database.dispose()
