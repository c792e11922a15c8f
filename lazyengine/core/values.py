"""Values with a few fields changed."""

from typing import Any, TypeVar

V = TypeVar("V")

_new, _store = object.__new__, object.__setattr__  # a frozen class has its own, which refuses


def replace(value: V, **changes: Any) -> V:
    """Return a value with other fields: `dataclasses.replace` for frozen dataclasses that only store them, in no slots.

    To copy the dictionary of a mark takes 0.4 microseconds; `dataclasses.replace` takes 7, and to make a mark 3.

    :raises KeyError: there is no such field
    """
    fields = {**value.__dict__, **changes}
    if len(fields) != len(value.__dict__):
        raise KeyError(*changes.keys() - value.__dict__.keys())
    new: V = _new(type(value))
    _store(new, "__dict__", fields)
    return new
