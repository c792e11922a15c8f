"""Literal values: what JSON can say and what is no expression."""

import math
from typing import Any

from lazyengine.compilers.faults import Faults, Path, kind

_BRACKETS = (("<%", "%>"), ("{{", "}}"), ("{%", "%}"))
"""Of YAQL and Jinja (Mistral: `expressions/yaql_expression.py`, `expressions/jinja_expression.py`)."""


def has_expression(text: str) -> bool:
    """Tell whether an expression stands in a text.  Cost: its length."""
    if "%" not in text and "{" not in text:
        return False
    return any(0 <= text.find(left) < text.rfind(right) - 1 for left, right in _BRACKETS)


def check_plain(faults: Faults, path: Path, value: Any) -> None:
    """Add a fault if a value that is no string, list or object is none that JSON has."""
    if isinstance(value, float) and not math.isfinite(value):
        faults.add(path, "not a number that JSON has")
    elif value is not None and not isinstance(value, bool | int | float):
        faults.add(path, f"{kind(value)} is not a JSON value")
