"""A PostgreSQL database with very many finished executions: copies of one, made by the server."""

import uuid
from itertools import pairwise

from sqlalchemy import text

from lazyengine.core.state import Outcome, TaskState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, Start
from lazyengine.settings import Settings

OWNER = ""
PART = 100_000
"""Executions in one transaction."""


def fill(url: str, count: int, tasks: int) -> None:
    """Add executions of a workflow named ``old``, a chain, that ended 60 days ago."""
    settings = Settings(database_url=url)
    database = Database(settings)
    names = [f"t{n}" for n in range(tasks)]
    chain = {name: {"on-success": [to]} for name, to in pairwise(names)} | {names[-1]: {}}
    engine = Engine(database, settings)
    one = engine.start_execution(OWNER, Start({"old": {"tasks": chain}}, uuid.uuid4().hex)).execution.id
    for name in names:
        engine.complete_task(OWNER, one, Report(name, Outcome(TaskState.SUCCESS)))
    for at in range(0, count, PART):
        _copy(database, one, min(PART, count - at))
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    database.dispose()


def _copy(database: Database, one: str, count: int) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TEMPORARY TABLE copies ON COMMIT DROP AS "
                f"SELECT gen_random_uuid() AS id FROM generate_series(1, {count})"
            )
        )
        for table, key in ((t.execution, "id"), (t.mark, "execution_id"), (t.history, "execution_id")):
            changed = {key: "copies.id"}
            if table is t.execution:
                changed["finished_at"] = "one.finished_at - interval '60 days'"
            columns = [column.name for column in table.c]
            values = ", ".join(changed.get(name, f"one.{name}") for name in columns)
            connection.execute(
                text(
                    f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} "
                    f"FROM (SELECT * FROM {table.name} WHERE {key} = :one) AS one, copies"
                ),
                {"one": one},
            )
