"""A worker that is now and then slow, late, twofold or dead; it writes down what it was told was recorded.

python worker.py NAME SEED LOG URL[,URL…] [AMQP-URL]: without a broker it claims from the target "pull", with one it
consumes the queue "queue".
"""

import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import kombu
from api import Api, Unanswered

LEASE_SECONDS = 2.0
PLACE = ("execution_id", "task", "iteration", "item", "attempt")


class Worker:
    def __init__(self, name: str, seed: str, log: Path, urls: list[str]) -> None:
        self.name, self.seed, self.api = name, seed, Api(urls)
        self.log = log.open("a", buffering=1)

    def claim(self) -> None:
        """Work on what can be claimed, for ever."""
        wish = {"worker": self.name, "targets": ["pull"], "limit": 4, "lease_seconds": LEASE_SECONDS, "wait_seconds": 5}
        number = 0
        while True:
            number += 1
            key = f"{self.name}-{time.time_ns()}-{number}"
            try:
                _, answer = self.api.call("POST", "/tasks/claim", wish | {"claim_key": key})
            except Unanswered:
                continue
            for assignment in answer["tasks"]:
                self.work(assignment)

    def consume(self, broker: str) -> None:
        """Work on what a queue brings, for ever; what was not answered for comes again."""
        while True:
            try:
                with kombu.Connection(broker, connect_timeout=5) as connection:
                    queue = kombu.Queue("queue", durable=True)
                    with connection.Consumer(queue, callbacks=[self.received], prefetch_count=4):
                        while True:
                            try:
                                connection.drain_events(timeout=5)
                            except TimeoutError:
                                connection.heartbeat_check()
            except (OSError, connection_errors()):
                time.sleep(0.2)

    def received(self, body: Any, message: Any) -> None:
        self.work(body if isinstance(body, dict) else json.loads(body))
        message.ack()

    def work(self, assignment: dict[str, Any]) -> None:
        place = {name: assignment[name] for name in PLACE}
        self.write("got", place)
        dice = Random(f"{self.seed}-{list(place.values())}-{time.time_ns()}")
        time.sleep(dice.uniform(LEASE_SECONDS, 2 * LEASE_SECONDS) if dice.random() < 0.01 else dice.uniform(0, 0.03))
        outcome: dict[str, Any] = {"state": "SUCCESS", "result": {"by": self.name, "number": dice.randint(0, 9)}}
        if dice.random() < 0.15:
            outcome = {"state": "FAILURE", "failure": {"type": "dice", "message": "as it fell"}}
        self.report(place, outcome)
        if dice.random() < 0.05:
            self.report(place, outcome)
        if dice.random() < 0.05:
            self.report(place, {"state": "SUCCESS", "result": "something else"})

    def report(self, place: dict[str, Any], outcome: dict[str, Any]) -> None:
        path = (
            f"/executions/{place['execution_id']}/tasks/{quote(place['task'], safe='')}?iteration={place['iteration']}"
        )
        path += "" if place["item"] is None else f"&item={place['item']}"
        try:
            status, answer = self.api.call("PUT", path, outcome | {"attempt": place["attempt"]})
        except Unanswered:
            self.write("unanswered", place)
            return
        if status == 200:
            self.write("replayed" if answer["replayed"] else "recorded", place | {"state": answer["task"]["state"]})
        else:
            self.write("refused", place | {"status": status, "code": answer["code"]})

    def write(self, what: str, facts: dict[str, Any]) -> None:
        self.log.write(json.dumps({"what": what, "worker": self.name} | facts) + "\n")


def connection_errors() -> type[Exception]:
    errors: type[Exception] = kombu.exceptions.OperationalError
    return errors


if __name__ == "__main__":
    worker = Worker(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4].split(","))
    if len(sys.argv) > 5:
        worker.consume(sys.argv[5])
    else:
        worker.claim()
