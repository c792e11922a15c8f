"""The kinds of values that the API speaks, as WSME user types: how each is read, written and described.

WSME's own types coerce ("1" is 1, 1 is true) and have no free JSON; these read strictly.  Each has the four faces

* `frombasetype`: from a parsed JSON value; a `Misfit` says what it should have been
* `fromtext`: from a path segment or a query parameter
* `tobasetype`: from what the engine answers to a JSON value
* `schema`: as JSON Schema 2020-12; what it states is what `frombasetype` enforces
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import wsme.types

MAX_INTEGER = 2**31 - 1
"""What every database stores as an integer."""


class Misfit(Exception):
    """A value is not of its type; `pointer` (RFC 6901) tells where in the document, `message` what it has to be."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer

    def under(self, segment: str | int) -> "Misfit":
        """Say the same, seen from the container that holds it as `segment`."""
        escaped = str(segment).replace("~", "~0").replace("/", "~1")
        return Misfit(self.message, f"/{escaped}{self.pointer}")


class Scalar(wsme.types.UserType):  # type: ignore[misc]
    """A value without members; one with a `title` is a schema of its own in the document."""

    basetype: Any = str
    name = "value"
    title: str | None = None
    expected = "any JSON value"

    def frombasetype(self, value: Any) -> Any:
        return value

    def fromtext(self, text: str) -> Any:
        return self.frombasetype(text)

    def tobasetype(self, value: Any) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {}

    def misfit(self) -> Misfit:
        return Misfit(f"has to be {self.expected}")


class Json(Scalar):
    """Any JSON value; its strings may hold what plain strings may not (NUL, lone surrogates)."""

    name = "json"


class JsonObject(Scalar):
    """A JSON object whose members are the caller's own business."""

    name = "object"
    title: str | None = "JsonObject"
    expected = "an object"

    def frombasetype(self, value: Any) -> Any:
        if type(value) is not dict:
            raise self.misfit()
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": True}


class TextOrObject(JsonObject):
    """A document as text, or parsed."""

    name = "document"
    title = None
    expected = "a string (without NUL and lone surrogates) or an object"

    def frombasetype(self, value: Any) -> Any:
        if type(value) is dict or (type(value) is str and _is_plain(value)):
            return value
        raise self.misfit()

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": PLAIN}, super().schema()]}


PLAIN = r"^[^\u0000]*$"
ONE_LINE = r"^[^\u0000-\u001f\u007f-\u009f]*$"

_is_one_line = re.compile(ONE_LINE.removesuffix("$")).fullmatch


def _is_plain(text: str) -> bool:
    """Tell whether every database can store `text`: PostgreSQL refuses NUL, UTF-8 has no lone surrogates."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Text(Scalar):
    """A string of limited length (in code points) without NUL and lone surrogates."""

    name = "text"

    def __init__(self, max_length: int, min_length: int = 1) -> None:
        self.max_length = max_length
        self.min_length = min_length
        self.expected = f"a string of {min_length} to {max_length} characters, without NUL and lone surrogates"

    def frombasetype(self, value: Any) -> Any:
        if type(value) is not str or not self.min_length <= len(value) <= self.max_length or not _is_plain(value):
            raise self.misfit()
        return value

    def schema(self) -> dict[str, Any]:
        lower = {"minLength": self.min_length} if self.min_length else {}
        return {"type": "string", **lower, "maxLength": self.max_length, "pattern": PLAIN}


class Name(Text):
    """What names a task or an action: a text without control characters."""

    name = "name"

    def __init__(self, max_length: int = 255, min_length: int = 1) -> None:
        super().__init__(max_length, min_length)
        self.expected += " and without control characters"

    def frombasetype(self, value: Any) -> Any:
        if type(value) is not str or not _is_one_line(value):
            raise self.misfit()
        return super().frombasetype(value)

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "pattern": ONE_LINE}


class Words(Scalar):
    """A string of an answer, as it is."""

    name = "words"

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class Matching(Scalar):
    """A string of a form that a regular expression tells."""

    def __init__(self, pattern: str, expected: str, flags: int = 0) -> None:
        self.expected = expected
        self._pattern = pattern
        self._match = re.compile(pattern, flags).fullmatch

    def frombasetype(self, value: Any) -> Any:
        if type(value) is not str or not self._match(value):
            raise self.misfit()
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self._pattern}$"}


class Uuid(Matching):
    """A UUID with its four hyphens; handed on in lower case."""

    name = "uuid"

    def __init__(self) -> None:
        super().__init__(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a UUID", re.IGNORECASE | re.ASCII)

    def frombasetype(self, value: Any) -> Any:
        return super().frombasetype(value).lower()

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "uuid"}


_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DAY = (
    "([0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    f"|{_LEAP_YEAR}-02-29)"
)
MOMENT = rf"(?!0000){_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,6}})?Z"
"""Every moment that there is, and no other: no 30th of February."""


class Time(Matching):
    """A moment in UTC, with at most microseconds, as in 2026-01-02T03:04:05.678901Z."""

    name = "time"

    def __init__(self) -> None:
        super().__init__(MOMENT, "a time in UTC such as 2026-01-02T03:04:05.678901Z")

    def frombasetype(self, value: Any) -> Any:
        text = super().frombasetype(value)
        form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
        return datetime.strptime(text, form).replace(tzinfo=UTC)

    def tobasetype(self, value: Any) -> Any:
        at = value.astimezone(UTC)
        parts = at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond
        return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % parts  # noqa: UP031 - half of what isoformat takes

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


class ComparedTime(Scalar):
    """A time behind an operator of the API-SIG's filters, read as (operator, time); no operator is eq."""

    name = "compared time"
    expected = "gt:, gte:, lt:, lte:, eq: or neq: and a time in UTC such as 2026-01-02T03:04:05Z"
    operators = ("gt", "gte", "lt", "lte", "eq", "neq")

    def frombasetype(self, value: Any) -> Any:
        operator, separator, rest = value.partition(":")
        if not separator or operator not in self.operators:
            operator, rest = "eq", value
        try:
            return operator, TIME.frombasetype(rest)
        except Misfit:
            raise self.misfit() from None

    def schema(self) -> dict[str, Any]:
        operators = "|".join(self.operators)
        return {"type": "string", "pattern": f"^(({operators}):)?{MOMENT}$"}


class Flag(Scalar):
    """True or false."""

    basetype = bool
    name = "flag"
    expected = "true or false"

    def frombasetype(self, value: Any) -> Any:
        if type(value) is not bool:
            raise self.misfit()
        return value

    def fromtext(self, text: str) -> Any:
        return self.frombasetype({"true": True, "false": False}.get(text))

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Integer(Scalar):
    """A whole number, however it is spelled (JSON has one kind of number: 1.0 is 1); `maximum` None has no bound."""

    basetype = int
    name = "integer"

    def __init__(self, minimum: int, maximum: int | None = MAX_INTEGER) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.expected = f"an integer of at least {minimum}" + (f" and at most {maximum}" if maximum else "")

    def frombasetype(self, value: Any) -> Any:
        number = int(value) if type(value) is float and value.is_integer() else value
        if type(number) is not int or number < self.minimum or (self.maximum is not None and number > self.maximum):
            raise self.misfit()
        return number

    def fromtext(self, text: str) -> Any:
        if not re.fullmatch(r"-?[0-9]{1,40}", text):
            raise self.misfit()
        return self.frombasetype(int(text))

    def schema(self) -> dict[str, Any]:
        upper = {} if self.maximum is None else {"maximum": self.maximum}
        return {"type": "integer", "minimum": self.minimum, **upper}


class Number(Scalar):
    """A number between two bounds; `above` leaves the lower bound itself out."""

    basetype = float
    name = "number"

    def __init__(self, minimum: float, maximum: float, *, above: bool = False) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.above = above
        self.expected = (
            f"a number {'above' if above else 'from'} {minimum} {'and at most' if above else 'to'} {maximum}"
        )

    def frombasetype(self, value: Any) -> Any:
        if type(value) not in (int, float) or not self.minimum <= value <= self.maximum:
            raise self.misfit()
        if self.above and value == self.minimum:
            raise self.misfit()
        return float(value)

    def fromtext(self, text: str) -> Any:
        if not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", text):
            raise self.misfit()
        number = float(text)
        return self.frombasetype(number if math.isfinite(number) else None)

    def schema(self) -> dict[str, Any]:
        lower = {"exclusiveMinimum": self.minimum} if self.above else {"minimum": self.minimum}
        return {"type": "number", **lower, "maximum": self.maximum}


class Choice(Scalar):
    """One of the words that `words` maps to what they mean."""

    name = "choice"

    def __init__(self, words: Mapping[str, Any], title: str | None = None) -> None:
        self.words = words
        self.title = title
        self.expected = f"one of {', '.join(words)}"

    @classmethod
    def of(cls, states: type[StrEnum]) -> "Choice":
        return cls({state.value: state for state in states}, title=states.__name__)

    def frombasetype(self, value: Any) -> Any:
        if type(value) is not str or value not in self.words:
            raise self.misfit()
        return self.words[value]

    def schema(self) -> dict[str, Any]:
        words = list(self.words)
        return {"type": "string", "enum": words} if len(words) > 1 else {"type": "string", "const": words[0]}


JSON = Json()
JSON_OBJECT = JsonObject()
UUID = Uuid()
TIME = Time()
WORDS = Words()
