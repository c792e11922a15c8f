# /// script
# dependencies = ["celery[redis]==5.7.0", "redis==8.1.0"]
# ///
"""Celery on Redis: chains and a chord of tasks that do nothing, against lazyengine on PostgreSQL.

A worker with two processes runs the tasks.  Nothing of this is durable: Redis writes to disk now and then.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from celery import Celery, chain, chord
from redis import Redis

from bench.peers.comparison import Comparison, Run

PREFIX = os.environ.get("PREFIX") or f"bench-{uuid.uuid4().hex[:8]}-"
"""Of all keys in Redis, here and in the worker."""
PATIENCE_SECONDS = 60

app = Celery("bench.peers.celery")  # CELERY_BROKER_URL and CELERY_RESULT_BACKEND say where Redis is
app.conf.broker_transport_options = app.conf.result_backend_transport_options = {"global_keyprefix": PREFIX}
app.conf.task_default_queue = "bench"


@app.task
def link(x: int) -> int:
    return x + 1


@app.task
def gather(results: list[int]) -> int:
    return len(results)


def chains(executions: int, length: int) -> Run:
    """Run chains at once, and wait for all of them."""
    began = time.perf_counter()
    ends = [chain(link.s(0), *(link.s() for _ in range(length - 1))).apply_async() for _ in range(executions)]
    assert [end.get(PATIENCE_SECONDS) for end in ends] == [length] * executions
    return Run(executions * length, executions * length, time.perf_counter() - began)


def diamond(size: int) -> Run:
    """Run a task, all others but the last after it at once, and one after all of these."""
    width = size - 2
    began = time.perf_counter()
    link.delay(0).get(PATIENCE_SECONDS)
    assert chord(link.s(n) for n in range(width))(gather.s()).get(PATIENCE_SECONDS) == width
    return Run(size, size, time.perf_counter() - began)


@contextmanager
def worker(url: str) -> Iterator[None]:
    """Run a worker; in the end forget all that is in Redis."""
    options = [
        "--concurrency",
        "2",
        "--without-gossip",
        "--without-mingle",
        "--loglevel",
        "warning",
        "--queues",
        "bench",
    ]
    command = [sys.executable, "-m", "celery", "-A", "bench.peers.celery", "worker", *options]
    environ = os.environ | {"PREFIX": PREFIX}
    with subprocess.Popen(command, env=environ, stdout=sys.stderr) as process:
        try:
            link.delay(0).get(PATIENCE_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait()
            redis = Redis.from_url(url)
            for key in redis.scan_iter(f"{PREFIX}*", count=1000):
                redis.delete(key)


def main() -> None:
    comparison = Comparison("Celery", __doc__, ("celery", "redis"))
    url = os.environ["CELERY_BROKER_URL"] = os.environ["CELERY_RESULT_BACKEND"] = comparison.options.redis
    with comparison.ours() as ours, worker(url):
        for case, peer in (
            ("chains 1x100", partial(chains, 1, 100)),
            ("chains 20x100", partial(chains, 20, 100)),
            ("diamond 100", partial(diamond, 100)),
        ):
            ways = {"over HTTP": ours.runs("http", case), "in process": ours.runs("engine", case)}
            comparison.measure(case, "tasks/s", peer, ways)


if __name__ == "__main__":
    main()
