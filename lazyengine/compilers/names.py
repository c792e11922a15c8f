"""What may be a name: of a workflow, a task, an action, a target."""

import re
from typing import Any

from lazyengine.compilers.faults import Faults, Path, shown

LONGEST_NAME = 255

_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (Unicode's Cc) and lone surrogates."""

_NOT_IN_TEXT = re.compile(r"[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Tell whether every database can hold a text: PostgreSQL refuses NUL, UTF-8 has no lone surrogates."""
    return not _NOT_IN_TEXT.search(text)


def check_name(faults: Faults, path: Path, name: Any, what: str, in_path: bool = False) -> bool:
    """Add a fault if `name` cannot be the name of `what`; `in_path` when it is a segment of a URL."""
    fault = None
    if not isinstance(name, str):
        fault = f"the name of {what} has to be a string, not {shown(name)}; quotes make it one"
    elif not 1 <= len(name) <= LONGEST_NAME:
        fault = f"the name of {what} has 1 to {LONGEST_NAME} characters, not {len(name)}"
    elif _NOT_IN_NAMES.search(name):
        fault = f"the name of {what} holds no control characters and no lone surrogates"
    elif in_path and ("/" in name or name in (".", "..")):
        fault = f"the name of {what} holds no '/' and is not '.' or '..'"
    if fault:
        faults.add(path, fault)
    return fault is None
