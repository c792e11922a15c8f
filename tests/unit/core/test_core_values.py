"""Fields of values are replaced as `dataclasses.replace` does it, for every kind of value that the core has."""

import dataclasses
import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from lazyengine.core import context, graph, state
from lazyengine.core.books import Books
from lazyengine.core.decision import Slice
from lazyengine.core.values import replace

KINDS = [
    kind
    for module in (context, graph, state)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if dataclasses.is_dataclass(kind) and "__slots__" not in vars(kind) and kind.__module__ == module.__name__
]


def made(kind: Any, first: int) -> Any:
    """A value whose fields are all different."""
    return kind(*range(first, first + len(dataclasses.fields(kind))))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_field_alone_and_all_at_once(kind: Any) -> None:
    value = made(kind, 0)
    every = {field.name: 100 + n for n, field in enumerate(dataclasses.fields(kind))}
    for changes in ({}, every, *({name: new} for name, new in every.items())):
        assert replace(value, **changes) == dataclasses.replace(value, **changes)
    assert value == made(kind, 0)


def test_a_mark_that_nothing_has_happened_to_has_the_defaults() -> None:
    assert state.Mark.untouched(7, 2) == state.Mark(7, 2)
    assert state.Mark.untouched(7, 2, 3) == state.Mark(7, 2, 3)


def test_books_that_nothing_is_done_to_leave_the_header_as_it_was() -> None:
    fields = dict(zip(state.Header._fields, range(100, 200), strict=False))
    header = state.Header(**fields)
    assert Books(Slice(header, {}, {}), datetime(2026, 1, 1, tzinfo=UTC)).decide().header == header
