"""What expressions give, as JSON.

Source: Mistral stores values through `oslo_serialization.jsonutils`, which says how dates and the like are written.
"""

import datetime
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Set
from typing import Any

DEEPEST = 64
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def primitive(value: Any) -> Any:
    """Return as JSON what `json` does not know itself; its members are not looked at.

    :raises TypeError: it is nothing that JSON could say
    """
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f")
    if isinstance(value, datetime.date):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set | Iterator | range) or type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is not a JSON value")


def encoded(value: Any) -> bytes:
    """Return a result as JSON text.

    :raises ValueError: it is no JSON value, or none that every database could keep
    """
    try:
        text = json.dumps(value, default=primitive, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deeper(DEEPEST, value):
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    if "\\u0000" in text and _holds_nul(json.loads(text)):
        raise ValueError("a text in it holds the character NUL, which not every database keeps")
    if _UNSTORABLE.search(text):
        raise ValueError("a text in it holds half of a surrogate pair, which is no character")
    return text.encode()


def _is_deeper(limit: int, value: Any) -> bool:
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple | Set):
        return False
    return limit == 0 or any(_is_deeper(limit - 1, member) for member in value)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(member) for key, member in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))
