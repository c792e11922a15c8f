"""A worker: claims tasks from the API, runs their actions in threads, and reports how they went.

Read `worker.py` first; `client.py` is what it says to the API, `command.py` how signals end it.
"""

from lazyengine.worker.client import Api
from lazyengine.worker.command import work
from lazyengine.worker.worker import Terms, Worker

__all__ = ["Api", "Terms", "Worker", "work"]
