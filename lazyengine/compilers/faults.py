"""Gathering what is wrong with a definition, all of it, with places."""

from typing import Any

from lazyengine.errors import DefinitionInvalid, Fault

MOST_FAULTS = 100
DEEPEST = 64

Path = tuple[str | int, ...]


class Faults:
    """A list of faults that stops growing at `MOST_FAULTS`."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, path: Path, message: str) -> None:
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(pointer(path), message))

    def raise_if_any(self) -> None:
        """:raises DefinitionInvalid: with all that was added"""
        if self._faults:
            raise DefinitionInvalid(self._faults)


def pointer(path: Path) -> str:
    """Write a path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def kind(value: Any) -> str:
    """Name the JSON type of a value, for messages."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")
