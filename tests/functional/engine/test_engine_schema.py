"""The schema: migrations and tables say the same; a service does not start on another schema than its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from driving import OWNER, PAIR, document, done, state_of
from fresh_databases import fresh_database
from sqlalchemy import column, insert, table, text

from lazyengine import errors
from lazyengine.db import migrations
from lazyengine.db.database import Database
from lazyengine.db.tables import metadata
from lazyengine.engine import Engine
from lazyengine.records import WorkflowQuery
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


FIRST_GRAPH = {"workflow": "w", "roots": [0], "size": 1, "input": {}, "required": [], "output": None}
ID = "00000000-0000-4000-8000-000000000001"


def make_first_release(database: Database) -> None:
    """A database as the first release left it: one execution whose only task, 'a', is handed out."""
    moment = {"sqlite": "2026-01-02 03:04:05.678901"}.get(database.dialect, "2026-01-02 03:04:05")
    number = {"live": 1, "backlog": 0, "held": 0, "unhandled": 0, "cancelled": 0, "generation": 1, "events": 2}
    id = ID.replace("-", "") if database.dialect != "postgresql" else ID
    execution = {"id": id, "owner": OWNER, "graph_id": 1, "workflow": "w", "definition_digest": "d", "state": "RUNNING",
                 "request_digest": "r", "input": "{}", "params": "{}", "description": "kept", "tags": "[]",
                 "created_at": moment, "updated_at": moment, **number}  # fmt: skip
    mark = {"execution_id": id, "node_id": 0, "iteration": 1, "state": "RUNNING", "attempt": 1, "live": 0, "dead": 0,
            "runs": 1, "ended": 0, "told": 0, "target": "default", "created_at": moment}  # fmt: skip
    rows = {
        "graph": {"id": 1, "digest": "g", "head": json.dumps(FIRST_GRAPH)},
        "node": {"graph_id": 1, "id": 0, "name": "a", "body": "{}"},
        "execution": execution,
        "mark": mark,
    }
    with database.engine.begin() as connection:
        migrations.upgrade(connection, "0001")
        for name, row in rows.items():
            connection.execute(insert(table(name, *map(column, row))).values(row))


def test_an_upgrade_keeps_what_the_first_release_had(empty: Database) -> None:
    """An execution that was under way goes on, and what is new works beside it."""
    make_first_release(empty)
    engine = Engine(empty, empty.settings)
    with pytest.raises(errors.SchemaNotReady, match="at 0001"):
        engine.check_ready()
    empty.upgrade()
    assert engine.get_execution(OWNER, ID).description == "kept"
    engine.store_workflows(OWNER, document(PAIR))
    done(engine, ID, "a")
    assert state_of(engine, ID) == "SUCCESS"


def test_an_upgrade_finds_the_tags_of_what_is_stored(empty: Database) -> None:
    """Of workflows that were stored before tags had a table of their own."""
    told = {"name": "w", "input": [], "tags": ["x", "x", "y", "t" * 256, "\0"], "description": ""}
    row = {"id": 1, "owner": OWNER, "namespace": "", "name": "w", "revision": 1, "definition_digest": "d",
           "declaration": json.dumps(told), "created_at": "2026-01-02 03:04:05"}  # fmt: skip
    with empty.engine.begin() as connection:
        migrations.upgrade(connection, "0004")
        for name, values in (("definition", {"digest": "d", "document": "{}"}), ("workflow", row)):
            connection.execute(insert(table(name, *map(column, values))).values(values))
    empty.upgrade()
    engine = Engine(empty, empty.settings)
    for tag in ("x", "y"):
        page = engine.list_workflows(OWNER, WorkflowQuery(tag=tag))
        assert [one.declaration.name for one in page.items] == ["w"]


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
