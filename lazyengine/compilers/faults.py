"""Gathering what is wrong with a definition, all of it, with places."""

from collections.abc import Set
from typing import Any

from lazyengine.errors import DefinitionInvalid, Fault

MOST_FAULTS = 100
DEEPEST = 64
MOST_EXPRESSION_CHARACTERS = 500_000
"""Of a definition: parsing them takes a second or two."""

LONGEST_MESSAGE = 500
LONGEST_POINTER = 2_000
SHOWN = 40
"""Characters of a value that a message repeats."""

Path = tuple[str | int, ...]


class Faults:
    """A list of faults that stops growing at `MOST_FAULTS`; each of them is of limited length."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self._room = [MOST_EXPRESSION_CHARACTERS]

    def add(self, path: Path, message: str) -> None:
        if len(self.found) < MOST_FAULTS:
            self.found.append(Fault(pointer(path), cut(message, LONGEST_MESSAGE)))

    def leaves_room(self, path: Path, characters: int) -> bool:
        """Count the characters of an expression; add one fault where all of them together are too many."""
        had_room = self._room[0] >= 0
        self._room[0] -= characters
        if had_room and self._room[0] < 0:
            self.add(path, f"all expressions together have at most {MOST_EXPRESSION_CHARACTERS} characters")
        return self._room[0] >= 0

    def inside(self) -> "Faults":
        """Return a list of its own for what stands inside one string, where no pointer leads; the room is shared."""
        inner = Faults()
        inner._room = self._room
        return inner

    def raise_if_any(self) -> None:
        """:raises DefinitionInvalid: with all that was added"""
        if self.found:
            raise DefinitionInvalid(self.found)


def is_object(faults: Faults, path: Path, value: Any, what: str) -> bool:
    """Add a fault if a value is no object."""
    if isinstance(value, dict):
        return True
    faults.add(path, f"{what} is an object, not {kind(value)}")
    return False


def check_keys(faults: Faults, path: Path, value: dict[Any, Any], known: Set[str]) -> None:
    """Add a fault for each key that is none of those known here."""
    for key in value:
        if key not in known:
            faults.add((*path, str(key)), f"unknown key; known here are {', '.join(sorted(known))}")


def pointer(path: Path) -> str:
    """Write a path as a JSON Pointer (RFC 6901), cut where a name in it is enormous."""
    parts = (cut(str(part), LONGEST_POINTER).replace("~", "~0").replace("/", "~1") for part in path)
    return cut("".join("/" + part for part in parts), LONGEST_POINTER)


def cut(text: str, longest: int) -> str:
    """Shorten a text to `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def kind(value: Any) -> str:
    """Name the JSON type of a value, for messages."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")


def shown(value: Any) -> str:
    """Repeat a value in a message if it is short, else name its type; never looks into lists and objects."""
    if isinstance(value, str):
        return repr(cut(value, SHOWN))
    return cut(repr(value), SHOWN) if isinstance(value, bool | int | float) else kind(value)
