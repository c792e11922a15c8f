"""Small standard actions.

Source: Mistral's `actions/std_actions.py` (SleepAction, TestDictAction).
"""

from typing import Any

from lazyengine.actions.contract import ActionFailed, Context

MOST_MEMBERS = 100_000


def sleep(context: Context, seconds: float = 1) -> None:
    """Wait, unless the task is cancelled meanwhile."""
    context.cancelled.wait(max(0.0, float(seconds)))


def make_dict(size: int = 0, key_prefix: str = "", val: Any = "") -> dict[str, Any]:
    """Return so many members of the same value."""
    if not 0 <= size <= MOST_MEMBERS:
        raise ActionFailed(f"size is from 0 to {MOST_MEMBERS}")
    return {f"{key_prefix}{number}": val for number in range(size)}
