"""Locks on names, for what has no row to lock: one transaction at a time has a name, until it has ended."""

import hashlib
from typing import Any

from sqlalchemy import Connection, text

LONGEST_WAIT_SECONDS = 5
KEEPS_LOCKS = "keeps_locks"


class NotLocked(Exception):
    """Somebody else has the name; the transaction has to start again."""


def lock_name(connection: Connection, *parts: str) -> None:
    """Wait for a name, and have it until this transaction has ended.

    SQLite has one writer at a time, which is enough.

    :raises NotLocked: it was not to be had in time
    """
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    if connection.dialect.name == "postgresql":
        number = int(digest[:15], 16)
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
    elif connection.dialect.name == "mysql":
        connection.info[KEEPS_LOCKS] = True
        asked = {"name": digest, "seconds": LONGEST_WAIT_SECONDS}
        if not connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), asked).scalar_one():
            raise NotLocked(digest)


def unlock_names(connection: Any, record: Any) -> None:
    """Give back the names that a connection of MariaDB has, when it goes back to its pool: they outlive COMMIT."""
    if record.info.pop(KEEPS_LOCKS, False) and connection is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_ALL_LOCKS()")
