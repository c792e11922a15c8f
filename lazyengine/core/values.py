"""Values with a few fields changed, and values that have few fields: how a decision makes marks out of marks.

A value here is a frozen dataclass without slots that does no more than store its fields.  What it does not store is
read from its class, where dataclasses keep the defaults: most marks differ from them in few fields, and it takes less
time to copy those than all.
"""

from typing import TYPE_CHECKING, Any, TypeVar

V = TypeVar("V")

_new, _store = object.__new__, object.__setattr__  # a frozen class has its own, which refuses


def make(kind: type[V], fields: dict[str, Any]) -> V:
    """Return a value with these fields, which have to be those without a default at least.

    For a mark that takes 0.3 microseconds, and 3 to call its class.
    """
    new = _new(kind)
    _store(new, "__dict__", fields)
    return new


if TYPE_CHECKING:
    from dataclasses import replace as replace  # so that mypy knows the fields of each value, and their types
else:

    def replace(value: V, **changes: Any) -> V:
        """Return a value with other fields: `dataclasses.replace`, for a mark in 0.3 microseconds and not 7."""
        new = _new(value.__class__)
        _store(new, "__dict__", value.__dict__ | changes)
        return new
