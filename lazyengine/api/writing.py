"""Writing answers: for each type one prepared function from the engine's record to the JSON value."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import wsme.types
from wsme.types import Unset

from lazyengine.api.document import Document, member
from lazyengine.api.types import Scalar
from lazyengine.encoder import encoder

Writer = Callable[[Any], Any]

# ASCII only: the lone surrogates that free JSON may hold survive as escapes.
encode = encoder(allow_nan=False)


@cache
def writer(datatype: Any) -> Writer:
    """Prepare the function that shows a record as `datatype`."""
    if wsme.types.isarray(datatype):
        write_entry = writer(datatype.item_type)
        return lambda entries: [write_entry(entry) for entry in entries]
    if wsme.types.iscomplex(datatype):
        return _document_writer(datatype)
    write: Writer = datatype.tobasetype
    return write if type(datatype).tobasetype is not Scalar.tobasetype else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _document_writer(datatype: type[Document]) -> Writer:
    members = datatype.members()
    template = dict.fromkeys(one.name for one in members)
    shown = [(one.name, attrgetter(_source(datatype, one)), writer(one.datatype)) for one in members]

    def write(record: Any) -> dict[str, Any]:
        document = template.copy()
        for name, get, write_value in shown:
            value = get(record)
            if value is Unset:
                del document[name]
            elif value is not None:
                document[name] = (
                    value if write_value is _as_it_is else write_value(value)
                )  # most are, so it is not called
        return document

    return write


def _source(datatype: type[Document], attribute: member) -> str:
    source = attribute.source or attribute.key
    inherited = any(base.__dict__.get(attribute.key) is attribute for base in datatype.__mro__[1:])
    return f"{datatype._record}.{source}" if datatype._record and inherited else source
