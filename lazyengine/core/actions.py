"""Actions that need no worker: their outcome follows from their input alone.

Source: Mistral's `actions/std_actions.py` (NoOpAction, EchoAction, FailAction).
"""

from collections.abc import Callable, Mapping
from typing import Any

from lazyengine.core.state import Failure, Outcome, TaskState


def _noop(input: Mapping[str, Any]) -> Outcome:
    return Outcome(TaskState.SUCCESS)


def _echo(input: Mapping[str, Any]) -> Outcome:
    return Outcome(TaskState.SUCCESS, input["output"])


def _fail(input: Mapping[str, Any]) -> Outcome:
    failure = Failure("std.fail", "Fail action expected exception.")
    return Outcome(TaskState.FAILURE, input.get("error_data") or failure.message, failure)


PURE_ACTIONS: dict[str, Callable[[Mapping[str, Any]], Outcome]] = {
    "std.noop": _noop,
    "std.echo": _echo,
    "std.fail": _fail,
}

# name: (parameters that must be given, parameters that may be given)
PURE_PARAMETERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "std.noop": (frozenset(), frozenset()),
    "std.echo": (frozenset({"output"}), frozenset()),
    "std.fail": (frozenset(), frozenset({"error_data"})),
}


def pure_outcome(action: str | None, input: Mapping[str, Any]) -> Outcome | None:
    """Return what a pure action ends with, or None for a task that somebody else has to do."""
    act = PURE_ACTIONS.get(action) if action else None
    return act(input) if act else None
