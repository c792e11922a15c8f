"""A Celery application as a user would write it, for a real worker process."""

import os
import time
from pathlib import Path

from celery import Celery

from lazyengine.celery_worker import report_to

app = Celery("work", broker=os.environ["WORK_BROKER"])
app.conf.task_ignore_result = True
report_to(os.environ["WORK_ENGINE"])


@app.task(name="work.add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="work.fail")
def fail() -> None:
    raise LookupError("nothing there")


@app.task(name="work.stubborn", bind=True, max_retries=3)
def stubborn(self: object) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(name="work.odd")
def odd() -> object:
    return {1, 2}


@app.task(name="work.sleep")
def sleep(began: str) -> None:
    Path(began).touch()
    time.sleep(60)
