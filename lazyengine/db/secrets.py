"""Statements of what the processes of a service know together and nobody else."""

import secrets

from sqlalchemy import Connection, insert, select

from lazyengine.db import tables as t

SIGNING_KEY = "signing_key"


def signing_key(connection: Connection) -> str:
    """Return the key that signs callback URLs; the first who asks makes it.

    Two who make it at once meet at the primary key, and the transaction of the later one begins again.
    """
    known = connection.execute(select(t.secret.c.value).where(t.secret.c.name == SIGNING_KEY)).scalar()
    if known is not None:
        return str(known)
    key = secrets.token_urlsafe(32)
    connection.execute(insert(t.secret).values(name=SIGNING_KEY, value=key))
    return key
