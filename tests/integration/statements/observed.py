"""The statements that reach a database, and how it would run them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import RawCursor
from psycopg.rows import dict_row
from sqlalchemy import event

from lazyengine.db.database import Database


@dataclass(frozen=True)
class Statement:
    """One statement and the parameters of its first row, as the driver got them."""

    sql: str
    parameters: Any

    @property
    def verb(self) -> str:
        return self.sql.split(None, 1)[0]


@contextmanager
def observed(database: Database, knows_graph: bool = False) -> Iterator[list[Statement]]:
    """Collect every statement but BEGIN, of any transaction, in order.

    :param knows_graph: the process has read the nodes before
    """
    statements: list[Statement] = []

    def note(connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        if not sql.startswith("BEGIN"):
            statements.append(Statement(sql, parameters[0] if many else parameters))

    if not knows_graph:
        database.kept.clear()
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def analyze(database: Database) -> None:
    """Let the database count its rows, as it does by itself after a while."""
    sql = {"sqlite": "ANALYZE", "postgresql": "ANALYZE", "mysql": "ANALYZE TABLE node, mark, execution, history"}
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(sql[database.dialect]).close()


def rows_read(database: Database) -> int:
    """Return how many rows and entries of indexes PostgreSQL has read in this database so far, by any connection."""
    query = (
        "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)"
        " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
    )
    with database.engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()").close()
        connection.commit()
        return int(connection.exec_driver_sql(query).scalar_one())


def whole_table_reads(database: Database, statement: Statement) -> list[str]:
    """Return the steps of the statement's plan that read a whole table."""
    return {"sqlite": _of_sqlite, "postgresql": _of_postgresql, "mysql": _of_mysql}[database.dialect](
        _explain(database, statement)
    )


def _explain(database: Database, statement: Statement) -> list[dict[str, Any]]:
    if database.dialect == "mysql" and statement.verb == "INSERT":
        return []  # MariaDB shows ALL for the table that VALUES go into
    prefix = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN (FORMAT JSON) ", "mysql": "EXPLAIN "}
    with database.engine.connect() as connection:
        sql = prefix[database.dialect] + statement.sql
        if "$1" in sql:  # PostgreSQL's own placeholders
            raw = RawCursor(connection.connection.driver_connection, row_factory=dict_row)
            return list(raw.execute(sql, statement.parameters))
        return [dict(row._mapping) for row in connection.exec_driver_sql(sql, statement.parameters)]


def _of_sqlite(plan: list[dict[str, Any]]) -> list[str]:
    return [row["detail"] for row in plan if row["detail"].startswith("SCAN") and "CONSTANT ROW" not in row["detail"]]


def _of_postgresql(plan: list[dict[str, Any]]) -> list[str]:
    (value,) = (row["QUERY PLAN"] for row in plan)
    (top,) = json.loads(value) if isinstance(value, str) else value
    found: list[str] = []
    open_nodes = [top["Plan"]]
    while open_nodes:
        node = open_nodes.pop()
        open_nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            found.append(f"Seq Scan on {node['Relation Name']}")
    return found


def _of_mysql(plan: list[dict[str, Any]]) -> list[str]:
    return [f"{row['type']} on {row['table']}" for row in plan if row["type"] in ("ALL", "index")]
