"""The schema: migrations and tables say the same; a service does not start on another schema than its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fresh_databases import fresh_database
from sqlalchemy import text

from lazyengine import errors
from lazyengine.db import migrations
from lazyengine.db.database import Database
from lazyengine.db.tables import metadata
from lazyengine.engine import Engine
from lazyengine.settings import Settings


@pytest.fixture
def empty(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind without any tables."""
    yield from fresh_database(database_url, tmp_path)


def test_migrations_make_the_tables(empty: Database) -> None:
    """What the revisions come to is what the code believes, to the last index, type and default."""
    empty.upgrade()
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_upgrading_again_changes_nothing(empty: Database) -> None:
    """Every process may upgrade when it starts."""
    empty.upgrade()
    empty.upgrade()
    assert empty.current_revision() == migrations.head()
    Engine(empty, empty.settings).check_ready()


def test_before_the_upgrade_a_service_is_not_ready(empty: Database) -> None:
    """The error says what there is and what to do."""
    assert empty.current_revision() is None
    with pytest.raises(errors.SchemaNotReady, match=r"at nothing.*lazyengine db upgrade"):
        Engine(empty, empty.settings).check_ready()


def test_on_a_schema_of_another_release_it_is_not_ready(empty: Database) -> None:
    """Neither older nor newer than its own."""
    empty.upgrade()
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(errors.SchemaNotReady, match="at 9999"):
        empty.check_ready()


def test_a_dead_database_is_not_ready() -> None:
    """Which is another thing than an old schema."""
    database = Database(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(errors.DatabaseUnavailable):
        Engine(database, database.settings).check_ready()
