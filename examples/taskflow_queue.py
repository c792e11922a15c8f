"""A TaskFlow flow through a queue: what is scheduled is queued, and workers in other processes complete it.

The queue is in the place of yours (RabbitMQ, Redis, …).  An assignment is queued once it has been committed; should it
be lost there, `controller.start(execution=...)` queues again what nobody has completed.

Run it with ``pip install lazyengine[taskflow]``.
"""

import multiprocessing
import tempfile
from functools import partial
from pathlib import Path

from taskflow import task
from taskflow.patterns import linear_flow, unordered_flow

from lazyengine.controller import Controller

WORKERS = 2


class Count(task.Task):
    def execute(self, text):
        return text.count(self.name)


class Sum(task.Task):
    def execute(self, e, o):
        return e + o


def counting():
    letters = unordered_flow.Flow("letters").add(Count("e", provides="e"), Count("o", provides="o"))
    return linear_flow.Flow("counting").add(letters, Sum("sum"))


def put(queue, assignment):
    """What crosses the queue: a task of an execution, and its arguments."""
    queue.put((assignment.execution_id, assignment.task, assignment.input))


def work(url, queue):
    """Take tasks until there is None; what a completion schedules goes into the queue too."""
    tasks = {"e": Count("e"), "o": Count("o"), "sum": Sum("sum")}
    with Controller(url, executor=partial(put, queue), flows=[counting]) as controller:
        while (taken := queue.get()) is not None:
            execution, name, arguments = taken
            result = tasks[name].execute(**arguments)
            controller.complete_task(execution, name, result)
            if name == "sum":  # the last one
                print(f"{name}: {result}", flush=True)
                for _ in range(WORKERS):
                    queue.put(None)


def main():
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'flows.db'}"
        with Controller(url, executor=partial(put, queue)) as controller:
            execution = controller.start(counting, store={"text": "one, two, three, four, eleven"})
            workers = [spawn.Process(target=work, args=(url, queue)) for _ in range(WORKERS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            print(controller.get_state(execution))


if __name__ == "__main__":
    main()
