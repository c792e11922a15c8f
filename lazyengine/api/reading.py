"""Strict reading: bytes to JSON, JSON to documents, a query string to arguments.

All that is refused is refused here, as `request.invalid`, and nothing is ever ignored or coerced.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import wsme.types

from lazyengine.api.document import Document, OneOf, member
from lazyengine.api.types import Misfit
from lazyengine.errors import RequestInvalid

MAX_DEPTH = 64
MAX_DIGITS = 4300
MAX_QUERY_FIELDS = 100
SHOWN = 60
"""Characters of a caller's own words that an error repeats."""

Reader = Callable[[Any], Any]


def shown(words: str) -> str:
    """Cut a caller's words to what an error may repeat."""
    return words if len(words) <= SHOWN else words[: SHOWN - 1] + "…"


# -- JSON -------------------------------------------------------------------------------------------------------------


def read_object(raw: bytes) -> dict[str, Any]:
    """Parse a body.

    :raises RequestInvalid: not UTF-8, not JSON (RFC 8259), not an object, a name twice in one object, a number beyond
        what a double or 4,300 digits hold, or more than `MAX_DEPTH` levels
    """
    try:
        value = _DECODER.decode(raw.decode())
        # C code found the nesting too deep for itself, or it is counted here: either way before anything recurses.
        too_deep = raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper_than(MAX_DEPTH, value)
    except RecursionError:
        too_deep = True
    except UnicodeDecodeError as error:
        raise RequestInvalid(reason=f"The body is not UTF-8: byte {error.start} does not belong there.") from None
    except json.JSONDecodeError as error:
        raise RequestInvalid(
            reason=f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except ValueError as error:
        raise RequestInvalid(reason=f"The body is not acceptable JSON: {error}.") from None
    if too_deep:
        raise RequestInvalid(reason=f"The body is nested deeper than {MAX_DEPTH} levels.")
    if type(value) is not dict:
        raise RequestInvalid(reason="The body has to be a JSON object.")
    return value


def _deeper_than(limit: int, value: Any) -> bool:
    """Walk level by level, without recursion."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has the name {json.dumps(shown(twice))} twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {shown(text)} is out of range")
    return number


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer has {len(text)} digits")
    return int(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_whole, parse_constant=_refuse_constant
)


# -- documents --------------------------------------------------------------------------------------------------------


def read_document(datatype: Any, value: dict[str, Any]) -> Any:
    """Make the document of type `datatype` (a `Document`, or a `OneOf`) that `value` spells.

    :raises RequestInvalid: it does not; the detail names the member and what is allowed there
    """
    try:
        return reader(datatype)(value)
    except Misfit as misfit:
        where = f"'{shown(misfit.pointer)}'" if misfit.pointer else "The body"
        raise RequestInvalid(reason=f"{where} {misfit.message}.", pointer=misfit.pointer) from None


@cache
def reader(datatype: Any) -> Reader:
    """Prepare the function that reads a JSON value as `datatype`."""
    if isinstance(datatype, OneOf):
        return _variant_reader(datatype)
    if wsme.types.iscomplex(datatype):
        return _document_reader(datatype)
    read: Reader = datatype.frombasetype
    return read


def _member_reader(attribute: member) -> Reader:
    if not wsme.types.isarray(attribute.datatype):
        return reader(attribute.datatype)
    return _list_reader(reader(attribute.datatype.item_type), attribute.max_items)


def _list_reader(read: Reader, max_items: int | None) -> Reader:
    at_most = max_items or 2**31
    expected = f"has to be a list of at most {at_most} entries" if max_items else "has to be a list"

    def read_list(value: Any) -> list[Any]:
        if type(value) is not list or len(value) > at_most:
            raise Misfit(expected)
        entries = []
        for index, entry in enumerate(value):
            try:
                entries.append(read(entry))
            except Misfit as misfit:
                raise misfit.under(index) from None
        return entries

    return read_list


def _variant_reader(datatype: OneOf) -> Reader:
    readers = {variant: _document_reader(variant) for variant in datatype.variants.values()}

    def read_variant(value: Any) -> Any:
        if type(value) is not dict:
            raise Misfit("has to be an object")
        return readers[datatype.variant(value)](value)

    return read_variant


def _document_reader(datatype: type[Document]) -> Reader:
    readers = {attribute.name: (attribute.key, _member_reader(attribute)) for attribute in datatype.members()}
    required = [attribute.name for attribute in datatype.members() if attribute.mandatory]
    at_least_one = f"has to have at least one of {', '.join(readers)}"

    def read_members(value: Any) -> Any:
        if type(value) is not dict:
            raise Misfit("has to be an object")
        document = datatype()
        for name, entry in value.items():
            if name not in readers:
                raise _unknown(datatype, name, readers)
            key, read = readers[name]
            try:
                setattr(document, key, read(entry))
            except Misfit as misfit:
                raise misfit.under(name) from None
        for name in required:
            if name not in value:
                raise Misfit(f"has to have the member '{name}'")
        if datatype._one_of and not any(name in value for name in datatype._one_of):
            raise Misfit(f"has to have the member {' or '.join(map(repr, datatype._one_of))}")
        if datatype._at_least_one and not value:
            raise Misfit(at_least_one)
        return document

    return read_members


def _unknown(datatype: type[Document], name: str, known: Mapping[str, Any]) -> Misfit:
    reason = datatype._planned.get(name, "is unknown")
    return Misfit(f"{reason}; allowed are {', '.join(known)}").under(shown(name))


# -- queries ----------------------------------------------------------------------------------------------------------


def read_query(query: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Read the arguments that a query string (as WSGI has it) gives for `parameters`, by name.

    :raises RequestInvalid: an unknown parameter, one given twice that is no list, or a value of the wrong type
    """
    arguments: dict[str, Any] = {}
    for name, text in query_pairs(query):
        if name not in parameters:
            allowed = ", ".join(parameters) or "none"
            raise RequestInvalid(reason=f"Unknown query parameter '{shown(name)}'; allowed are: {allowed}.")
        parameter = parameters[name]
        if parameter.repeated:
            arguments.setdefault(name, []).extend(_argument(parameter, part) for part in text.split(","))
        elif name in arguments:
            raise RequestInvalid(reason=f"Query parameter '{name}' is given more than once.")
        else:
            arguments[name] = _argument(parameter, text)
    return arguments


def query_pairs(query: str) -> Sequence[tuple[str, str]]:
    """Split a query string (as WSGI has it) into names and values.

    :raises RequestInvalid: not UTF-8, or more than `MAX_QUERY_FIELDS` parameters
    """
    try:
        text = query.encode("latin-1").decode()
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        reason = f"The query string has to be percent-encoded UTF-8 with at most {MAX_QUERY_FIELDS} parameters."
        raise RequestInvalid(reason=reason) from None


def _argument(parameter: Any, text: str) -> Any:
    try:
        return parameter.datatype.fromtext(text)
    except Misfit as misfit:
        raise RequestInvalid(reason=f"Query parameter '{parameter.name}' {misfit.message}.") from None
