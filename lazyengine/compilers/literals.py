"""Literal values: what JSON can say and what is no expression."""

import math
from collections.abc import Iterator
from typing import Any

from lazyengine.compilers.faults import DEEPEST, Faults, Path, kind

_BRACKETS = (("<%", "%>"), ("{{", "}}"), ("{%", "%}"))
"""Of YAQL and Jinja (Mistral: `expressions/yaql_expression.py`, `expressions/jinja_expression.py`)."""


def is_expression(text: str) -> bool:
    """Tell whether a text is an expression from its begin to its end, on one line, so that it may give any value."""
    text = text.rstrip()
    is_one = len(text) > 4 and "\n" not in text
    return is_one and any(text.startswith(left) and text.endswith(right) for left, right in _BRACKETS)


def strings_in(faults: Faults, path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Yield the strings of a value with their places; add to `faults` what is no JSON."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list) and len(path) >= DEEPEST:
        faults.add(path, f"nested deeper than {DEEPEST}")
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                faults.add(path, f"the key of a member is a string, not {kind(key)}; quotes make it one")
            yield from strings_in(faults, (*path, str(key)), member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from strings_in(faults, (*path, index), member)
    else:
        check_plain(faults, path, value)


def check_literal(faults: Faults, path: Path, value: Any) -> None:
    """Add a fault for what JSON cannot say; expressions in it are text."""
    for _ in strings_in(faults, path, value):
        pass


def check_plain(faults: Faults, path: Path, value: Any) -> None:
    """Add a fault if a value that is no string, list or object is none that JSON has."""
    if isinstance(value, float) and not math.isfinite(value):
        faults.add(path, "not a number that JSON has")
    elif value is not None and not isinstance(value, bool | int | float):
        faults.add(path, f"{kind(value)} is not a JSON value")
