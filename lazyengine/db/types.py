"""Column types that mean the same on SQLite, PostgreSQL and MariaDB/MySQL."""

import json
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import ARRAY, DateTime, Dialect, Integer, String, Text
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT, VARBINARY
from sqlalchemy.types import TypeDecorator, TypeEngine

from lazyengine.encoder import encoder

_encode = encoder(ensure_ascii=False)
_encode_ascii = encoder()


class Name(TypeDecorator[str]):
    """A name of at most 255 characters, compared byte by byte.

    MySQL's text collations take 'a' and 'a ' for the same (PAD SPACE), so names are bytes there.
    """

    impl = String(255)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(VARBINARY(1020) if dialect.name == "mysql" else String(255))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value.encode() if value is not None and dialect.name == "mysql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value

    def bind_processor(self, dialect: Dialect) -> Any:
        return super().bind_processor(dialect) if dialect.name == "mysql" else None  # nothing is called for nothing

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return super().result_processor(dialect, coltype) if dialect.name == "mysql" else None


class Json(TypeDecorator[Any]):
    """Any JSON value as text, so that NUL and lone surrogates, which a jsonb refuses, survive as escapes."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(LONGTEXT() if dialect.name == "mysql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


@lru_cache
def _text_of(moment: datetime | None) -> str | None:
    """Write a moment for PostgreSQL.  A decision writes the same one several times."""
    return None if moment is None else moment.isoformat()


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def bind_processor(self, dialect: Dialect) -> Any:
        return _text_of if dialect.name == "postgresql" else super().bind_processor(dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class IntegerList(TypeDecorator[Any]):
    """A list of integers that PostgreSQL takes as one value; psycopg would take ten times as long to write it."""

    impl = ARRAY(Integer)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return "{" + ",".join(map(str, value)) + "}"

    def bind_processor(self, dialect: Dialect) -> Any:
        return partial(self.process_bind_param, dialect=dialect)


def is_json(value: Any) -> bool:
    """Tell whether a value is read as it was written; a tuple is read as a list."""
    try:
        return bool(json.loads(to_json(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def to_json(value: Any) -> str:
    """Write compact JSON; characters stay themselves unless one of them has no UTF-8 form (a lone surrogate)."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _encode_ascii(value)
    return text
