"""Workers in a process of their own, which signals end."""

import logging
import signal
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from lazyengine.worker.worker import Worker

logger = logging.getLogger(__name__)


def work(workers: Sequence[Worker], grace_seconds: float) -> None:
    """Run workers until SIGTERM or SIGINT; a second one, or `grace_seconds` after the first, lets go of what they hold.

    :raises WorkerRefused: as `Worker.run`; those that can go on have finished what they held
    """
    events: SimpleQueue[int | BaseException | None] = SimpleQueue()  # signals, and how workers ended

    def run(worker: Worker) -> None:
        try:
            worker.run()
            events.put(None)
        except BaseException as error:  # else nobody would know that it has ended
            events.put(error)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: events.put(received))
    for worker in workers:
        threading.Thread(target=run, args=(worker,), daemon=True).start()
    event = events.get()
    for worker in workers:
        worker.stop()
    ended = [event] if not isinstance(event, int) else []
    deadline = time.monotonic() + grace_seconds
    while len(ended) < len(workers):
        try:
            event = events.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            event = signal.SIGTERM
        if isinstance(event, int):
            logger.warning("letting go of what is still under way; it goes to others as the leases run out")
            break
        ended.append(event)
    for error in ended:
        if error is not None:
            raise error
