"""Real databases for the tests: a fresh one of each kind for a session, emptied before each test.

Where PostgreSQL or MariaDB does not answer, its tests are skipped with the reason; under CI=true that is a failure.
``LAZYENGINE_TEST_POSTGRESQL_URL`` and ``LAZYENGINE_TEST_MYSQL_URL`` name other servers than the usual ones on loopback.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from lazyengine.db.database import Database
from lazyengine.db.tables import metadata
from lazyengine.engine import Engine
from lazyengine.settings import Settings

SERVERS = {
    "postgresql": os.environ.get("LAZYENGINE_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1/postgres"),
    "mysql": os.environ.get("LAZYENGINE_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1/test"),
}
BACKENDS = ("sqlite", "postgresql", "mysql")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep of a test that is marked with `backends` only those: the others have nothing that it could show."""

    def fits(item: pytest.Item) -> bool:
        mark = item.get_closest_marker("backends")
        backend = getattr(item, "callspec", None) and item.callspec.params.get("database_url")
        return mark is None or backend in mark.args

    items[:] = [item for item in items if fits(item)]


def unavailable(reason: str) -> None:
    """Skip a test for want of a service; under CI fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def new_database(backend: str, directory: Path) -> Iterator[str]:
    """Create an empty database and yield its URL; drop it in the end."""
    if backend == "sqlite":
        yield f"sqlite:///{directory / 'test.db'}"
        return
    server = create_engine(SERVERS[backend], isolation_level="AUTOCOMMIT")
    name = f"lazyengine_test_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except DBAPIError as error:
        unavailable(f"no {backend} server at {server.url!r}: {error.orig}")
    yield make_url(SERVERS[backend]).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        force = " WITH (FORCE)" if backend == "postgresql" else ""
        connection.execute(text(f"DROP DATABASE {name}{force}"))
    server.dispose()


@pytest.fixture(scope="session", params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database of each kind, with the newest schema."""
    for url in new_database(request.param, tmp_path_factory.mktemp(request.param)):
        database = Database(Settings(database_url=url))
        database.upgrade()
        database.dispose()
        yield url


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, busy_timeout_seconds=10.0)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """An empty database of each kind."""
    database = Database(settings)
    with database.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    yield database
    database.dispose()


@pytest.fixture
def engine(database: Database, settings: Settings) -> Engine:
    """An engine over an empty database of each kind."""
    return Engine(database, settings)
