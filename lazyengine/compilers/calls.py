"""The short form of a call: a name with parameters behind it, as in `std.echo output="hi"` or `fail(msg="no")`.

Source: Mistral's `lang/v2/base.py`, `_parse_cmd_and_input`.
"""

import json
import re
from typing import Any

_NAME = re.compile(r"\s*([^\s=()\"']+)\s*")
_PARAMETER = re.compile(r"\s*,?\s*([-\w]+)\s*=\s*")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_BARE = re.compile(r"[^\s,()]+")
_END = re.compile(r"\s*\)?\s*$")


class CallError(ValueError):
    """The text is not a call; says where it stops being one."""


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """Split a call into its name and its parameters; values are JSON where they can be read so, else strings.

    :raises CallError: something stands there that is no `name=value`
    """
    match = _NAME.match(text)
    if not match:
        raise CallError("no name stands here")
    name, at = match[1], match.end()
    if text[at : at + 1] == "(":
        at += 1
    parameters: dict[str, Any] = {}
    while not _END.match(text, at):
        match = _PARAMETER.match(text, at)
        if not match:
            raise CallError(f"'{text[at : at + 20].strip()}' is not a parameter of the form name=value")
        parameters[match[1]], at = _value(text, match.end())
    return name, parameters


def _value(text: str, at: int) -> tuple[Any, int]:
    if quoted := _QUOTED.match(text, at):
        return quoted[1] if quoted[1] is not None else quoted[2], quoted.end()
    if text[at : at + 1] in ("[", "{"):
        try:
            return json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            raise CallError(f"'{text[at : at + 20]}' is not JSON") from None
    bare = _BARE.match(text, at)
    if not bare:
        raise CallError("a parameter has no value")
    try:
        return json.loads(bare[0]), bare.end()
    except (ValueError, RecursionError):
        return bare[0], bare.end()
