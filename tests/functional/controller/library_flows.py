"""Flows that tests start; every process makes them alike."""

import os
from pathlib import Path
from typing import Any

from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import linear_flow, unordered_flow


class Give(task.Task):
    """Returns what it was told to."""

    def __init__(self, name: str, value: Any, **more: Any) -> None:
        super().__init__(name, **more)
        self.value = value

    def execute(self) -> Any:
        return self.value


class Add(task.Task):
    def execute(self, x: int, y: int) -> int:
        return x + y


class Fail(task.Task):
    def execute(self) -> None:
        raise ValueError(f"{self.name} failed")


class Note(task.Task):
    """Leaves a line in a file when it is executed or reverted."""

    def execute(self, log: str) -> str:
        self.note(log, f"{self.name} in {os.getpid()}")
        return "noted"

    def revert(self, log: str, result: Any, flow_failures: Any) -> None:
        self.note(log, f"-{self.name}")

    def note(self, log: str, line: str) -> None:
        with Path(log).open("a") as file:
            file.write(line + "\n")


def one_two_three() -> Flow:
    """Three, which returns None, waits to be completed by somebody else."""
    return linear_flow.Flow("one-two-three").add(Give("one", 1), Give("two", 2), Give("three", None))


def sum_flow() -> Flow:
    return linear_flow.Flow("sum").add(
        unordered_flow.Flow("numbers").add(Give("a", 2, provides="x"), Give("b", 3, provides="y")),
        Add("add", provides="sum"),
        Give("wait", None),
    )


def failing() -> Flow:
    return linear_flow.Flow("failing").add(Note("first"), Note("second"), Fail("third"))


def retried() -> Flow:
    inner = linear_flow.Flow("inner", retry.Times(2, "twice"))
    return linear_flow.Flow("retried").add(Note("first"), inner.add(Note("second"), Fail("third")))


def branches(number: int = 8) -> Flow:
    waiting = unordered_flow.Flow("waiting").add(*(Give(f"b{n}", None) for n in range(number)))
    return linear_flow.Flow("branches").add(waiting, Give("last", None))
