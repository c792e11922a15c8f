"""Entry point of alembic: migrate over the connection that `lazyengine.db.migrations` hands in."""

from alembic import context

from lazyengine.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
