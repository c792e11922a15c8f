"""The short form of a call: a name with parameters behind it, as in `std.echo output="hi"` or `fail(msg="no")`.

Source: Mistral's `lang/v2/base.py`, `_parse_cmd_and_input`.
"""

import json
import re
from typing import Any

# Possessive quantifiers: a long run of blanks is looked at once, not once from each of its ends.
_NAME = re.compile(r"\s*+([^\s=()\"']++)\s*+")
_PARAMETER = re.compile(r"\s*+,?+\s*+([-\w]++)\s*+=\s*+")
_QUOTED = re.compile(r"\"([^\"]*+)\"|'([^']*+)'")
_BARE = re.compile(r"(?![\"'])[^\s,()]++")
_CLOSING_OF = {"<%": "%>", "{{": "}}", "{%": "%}"}
_BLANKS = re.compile(r"\s*+")
_END = re.compile(r"\s*+\Z")
_CLOSING = re.compile(r"\s*+\)\s*+\Z")


class CallError(ValueError):
    """The text is not a call; says where it stops being one."""


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """Split a call into its name and its parameters; values are JSON where they can be read so, else strings.

    The name may be an expression.  Cost: linear in the text.

    :raises CallError: something stands there that is no `name=value`
    """
    expressions = _Expressions(text)
    start = _after_blanks(text, 0)
    end = expressions.end_at(start)
    if end is None:
        match = _NAME.match(text)
        if not match:
            raise CallError("no name stands here")
        return match[1], _parameters(text, match.end(), expressions)
    return text[start:end], _parameters(text, _after_blanks(text, end), expressions)


def parse_parameters(text: str) -> dict[str, Any]:
    """Read parameters that have no name before them, or any.

    :raises CallError: something stands there that is no `name=value`
    """
    name = None if _PARAMETER.match(text) else _NAME.match(text)
    return _parameters(text, name.end() if name else 0, _Expressions(text))


def _parameters(text: str, at: int, expressions: "_Expressions") -> dict[str, Any]:
    end = _END
    if text.startswith("(", at):
        at, end = at + 1, _CLOSING
    parameters: dict[str, Any] = {}
    while not end.match(text, at):
        match = _PARAMETER.match(text, at)
        if not match:
            at = _after_blanks(text, at)
            rest = text[at : at + 20].rstrip()
            raise CallError(f"'{rest}' is not a parameter of the form name=value" if rest else "a ')' is missing")
        parameters[match[1]], at = _value(text, match.end(), expressions)
    return parameters


def _value(text: str, at: int, expressions: "_Expressions") -> tuple[Any, int]:
    if quoted := _QUOTED.match(text, at):
        return quoted[1] if quoted[1] is not None else quoted[2], quoted.end()
    end = expressions.end_at(at)
    if end is not None:
        return text[at:end], end
    if text.startswith(("[", "{"), at):
        try:
            return _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise CallError(f"'{text[at : at + 20]}' is not JSON") from None
    bare = _BARE.match(text, at)
    if not bare:
        raise CallError("a parameter has no value, or one whose quotes are not closed")
    try:
        return json.loads(bare[0]), bare.end()
    except json.JSONDecodeError:
        return bare[0], bare.end()
    except ValueError:
        raise CallError(f"the number '{text[at : at + 20]}…' has too many digits") from None


def _after_blanks(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]


class _Expressions:
    """Finds where the expressions of a text end, from left to right; each of them ends on its line.

    A place that was found is kept until it is passed, so that all of them together cost one look at the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: dict[str, int] = {}

    def end_at(self, at: int) -> int | None:
        """Return the end of the expression that begins at a place, or None where none does.

        Blocks of Jinja come in pairs: these end with the last one on the line.
        """
        closing = _CLOSING_OF.get(self.text[at : at + 2])
        if closing is None:
            return None
        end, line = self.next(closing, at + 2), self.next("\n", at)
        if end >= line:
            return None
        return (self.text.rfind(closing, at, line) if closing == "%}" else end) + 2

    def next(self, what: str, at: int) -> int:
        if self.found.get(what, -1) < at:
            place = self.text.find(what, at)
            self.found[what] = place if place >= 0 else len(self.text)
        return self.found[what]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a name twice")
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
