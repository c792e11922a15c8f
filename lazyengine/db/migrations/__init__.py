"""The revisions of the schema, run by alembic on a connection that the caller opened."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to `revision`."""
    command.upgrade(_config(connection), revision)


def current(connection: Connection) -> str | None:
    """Return the revision of the schema, or None where there is none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the newest revision that this code knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision
