"""A flow that service, workers and TaskFlow's own engine run; each task writes a line into a file as it is called."""

import os
from pathlib import Path
from typing import Any

from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import graph_flow, linear_flow, unordered_flow


def note(line: str) -> int:
    """Write a line into the log, and return how often it stands there now."""
    path = Path(os.environ["SHOP_LOG"])
    with path.open("a") as log:
        log.write(f"{line}\n")
    return path.read_text().splitlines().count(line)


class Noted(task.Task):
    def execute(self) -> str:
        return f"{self.name} {note(self.name)}"

    def revert(self, **_: Any) -> None:
        note(f"-{self.name}")


class Charge(task.Task):
    """Fails as often as the flow is told."""

    def execute(self, fails: int, order: str) -> str:
        if note(self.name) <= fails:
            raise ValueError("card refused")
        return f"{order}, charged"

    def revert(self, **_: Any) -> None:
        note(f"-{self.name}")


def order() -> Flow:
    checks = unordered_flow.Flow("checks").add(Noted("stock"), Noted("address"), Noted("age"))
    after, mail, letter = graph_flow.Flow("after"), Noted("mail"), Noted("letter")
    after.add(mail, letter)
    after.link(mail, letter, decider=lambda history: "letter" in history["mail"])
    return linear_flow.Flow("order", retry.Times(3, "three times")).add(
        Noted("take", provides="order"), checks, Charge("charge"), after
    )
