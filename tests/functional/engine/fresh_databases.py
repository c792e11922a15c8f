"""Databases of a test's own, beside the one that all share."""

import uuid
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from lazyengine.db.database import Database
from lazyengine.settings import Settings


def fresh_database(beside: str, directory: Path) -> Iterator[Database]:
    """Yield a database without tables on the server of the URL `beside`; drop it in the end."""
    url = make_url(beside)
    if url.get_backend_name() == "sqlite":
        database = Database(Settings(database_url=f"sqlite:///{directory / 'empty.db'}"))
        yield database
        database.dispose()
        return
    name = f"lazyengine_test_{uuid.uuid4().hex[:12]}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database = Database(Settings(database_url=url.set(database=name).render_as_string(hide_password=False)))
    yield database
    database.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    server.dispose()
