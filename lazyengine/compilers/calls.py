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
_EXPRESSION = re.compile(r"<%.*?%>|\{\{.*?\}\}")
_BLANKS = re.compile(r"\s*+")
_END = re.compile(r"\s*+\Z")
_CLOSING = re.compile(r"\s*+\)\s*+\Z")


class CallError(ValueError):
    """The text is not a call; says where it stops being one."""


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """Split a call into its name and its parameters; values are JSON where they can be read so, else strings.

    :raises CallError: something stands there that is no `name=value`
    """
    match = _NAME.match(text)
    if not match:
        raise CallError("no name stands here")
    name, at, end = match[1], match.end(), _END
    if text.startswith("(", at):
        at, end = at + 1, _CLOSING
    parameters: dict[str, Any] = {}
    while not end.match(text, at):
        match = _PARAMETER.match(text, at)
        if not match:
            at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
            rest = text[at : at + 20].rstrip()
            raise CallError(f"'{rest}' is not a parameter of the form name=value" if rest else "a ')' is missing")
        parameters[match[1]], at = _value(text, match.end())
    return name, parameters


def _value(text: str, at: int) -> tuple[Any, int]:
    if quoted := _QUOTED.match(text, at):
        return quoted[1] if quoted[1] is not None else quoted[2], quoted.end()
    if expression := _EXPRESSION.match(text, at):
        return expression[0], expression.end()
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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a name twice")
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
