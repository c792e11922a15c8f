"""Actions of a package that is installed beside the worker; `directory` is where they leave what they saw."""

import os
import time
from pathlib import Path

from lazyengine.actions import ActionFailed, Later


def add(a, b=1):
    return a + b


def fail(message):
    raise KeyError(message)


def fail_with_result(context):
    raise ActionFailed("it is broken", "tried.broken", {"line": 3}, result={"partly": True})


def leave():
    raise SystemExit(7)


def unspeakable():
    return {1, 2}


def large(size):
    return "x" * size


def slow(context, seconds, name=None, directory="."):
    """Work for a time, telling how far it is; say that it began, and whether it was cancelled or ended."""
    task = name or context.assignment["task"]
    Path(directory, f"{task}.began").write_text(str(os.getpid()))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        context.progress = 0.5
        if context.cancelled.wait(0.05):
            Path(directory, f"{task}.cancelled").touch()
            return "cancelled"
    Path(directory, f"{task}.ended").touch()
    return "ended"


def begin(context):
    return Later(3_000)
