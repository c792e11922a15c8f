"""Writing answers: for each type one prepared function from the engine's record to the JSON value."""

import json
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import wsme.types
from wsme.types import Unset

from lazyengine.api.document import NOTHING, Document, member

Writer = Callable[[Any], Any]

# ASCII only: the lone surrogates that free JSON may hold survive as escapes.
encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@cache
def writer(datatype: Any) -> Writer:
    """Prepare the function that shows a record as `datatype`."""
    if wsme.types.isarray(datatype):
        write_entry = writer(datatype.item_type)
        return lambda entries: [write_entry(entry) for entry in entries]
    if wsme.types.iscomplex(datatype):
        return _document_writer(datatype)
    write: Writer = datatype.tobasetype
    return write


def _document_writer(datatype: type[Document]) -> Writer:
    members = datatype.members()
    template = {one.name: None if one.always is NOTHING else one.always for one in members}
    shown = [
        (one.name, attrgetter(_source(datatype, one)), writer(one.datatype)) for one in members if one.always is NOTHING
    ]

    def write(record: Any) -> dict[str, Any]:
        document = template.copy()
        for name, get, write_value in shown:
            value = get(record)
            if value is Unset:
                del document[name]
            elif value is not None:
                document[name] = write_value(value)
        return document

    return write


def _source(datatype: type[Document], attribute: member) -> str:
    source = attribute.source or attribute.key
    inherited = any(base.__dict__.get(attribute.key) is attribute for base in datatype.__mro__[1:])
    return f"{datatype._record}.{source}" if datatype._record and inherited else source
