"""Flows that processes find by their names."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import linear_flow, unordered_flow


class Note(task.Task):
    """Leaves a line in the file `log` when it is executed or reverted."""

    result: Any = "noted"

    def execute(self, log: str) -> Any:
        self.note(log, self.name)
        return self.result

    def revert(self, log: str, *args: Any, **more: Any) -> None:
        self.note(log, f"-{self.name}")

    def note(self, log: str, line: str) -> None:
        with Path(log).open("a") as file:
            file.write(line + "\n")


class NoteAndWait(Note):
    result = None


class NoteBehindAGate(Note):
    """Ends when the file `gate` is there."""

    def execute(self, log: str, gate: str) -> Any:
        self.note(log, self.name)
        wait_for(gate)
        return 1


def wait_for(gate: str) -> None:
    deadline = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


class DieOnce(Note):
    """Is killed, with its process, when it runs for the first time and the file `gate` is there."""

    def execute(self, log: str, gate: str) -> Any:
        again = self.name in Path(log).read_text().splitlines()
        self.note(log, self.name)
        if not again:
            wait_for(gate)
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"


class FailOnce(Note):
    def execute(self, log: str) -> Any:
        again = self.name in Path(log).read_text().splitlines()
        self.note(log, self.name)
        if not again:
            raise ValueError("the first time")
        return "done"


def one_two_three() -> Flow:
    return linear_flow.Flow("one-two-three").add(NoteBehindAGate("one"), Note("two"), NoteAndWait("three"))


def branches() -> Flow:
    waiting = unordered_flow.Flow("waiting").add(*(NoteAndWait(f"b{number}") for number in range(8)))
    return linear_flow.Flow("branches").add(waiting, NoteAndWait("last"))


def mortal() -> Flow:
    return linear_flow.Flow("mortal").add(Note("first"), DieOnce("second"), Note("third"))


def retried() -> Flow:
    """Something of everything: side by side, one behind the other, reverted and run again."""
    inner = linear_flow.Flow("inner", retry.Times(3, "thrice")).add(
        Note("b"), unordered_flow.Flow("both").add(Note("c"), Note("d")), FailOnce("e")
    )
    return linear_flow.Flow("retried").add(Note("a"), inner, Note("f"))
