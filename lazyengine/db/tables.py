"""The tables.

A definition is compiled once into a `graph` and its `node` rows, which never change.  A `workflow` is one revision of a
stored workflow, found again by its `workflow_tag` rows too; those that were stored together share the row of their
`definition`.  An `execution` is the header row that every decision locks; a `mark` is one run of one node, and a node
that nothing has happened to has none;
`stored_value` keeps what contexts refer to, once; `history` is append-only; `outbox` holds what has to happen later;
`secret` is what the processes of a service know together.
`mark`, `stored_value` and `history` need no foreign key: their rows are only ever written under the lock of their
execution's row.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from lazyengine.db.types import Json, Name, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
ExecutionId = Uuid(as_uuid=False)
MYSQL: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

graph = Table(
    "graph",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("head", Json, nullable=False),
    sqlite_autoincrement=True,  # an id is never used again, so a cache may trust it
    **MYSQL,
)

node = Table(
    "node",
    metadata,
    Column("graph_id", ForeignKey("graph.id"), primary_key=True),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Name, nullable=False),
    Column("body", Json, nullable=False),
    Column("is_gate", Integer),  # 1: no task, but where a flow is entered or left
    UniqueConstraint("graph_id", "name"),
    **MYSQL,
)

definition = Table(
    "definition",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", Json, nullable=False),
    Column("is_kept", Integer),  # 1: executions may look for workflows in it
    **MYSQL,
)

workflow = Table(
    "workflow",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", Name, nullable=False),
    Column("namespace", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("definition_digest", ForeignKey("definition.digest"), nullable=False, index=True),
    Column("declaration", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("owner", "namespace", "name", "revision"),
    **MYSQL,
)

workflow_tag = Table(
    "workflow_tag",
    metadata,
    Column("workflow_id", ForeignKey("workflow.id"), primary_key=True),
    Column("tag", Name, primary_key=True),
    Index(None, "tag", "workflow_id"),
    **MYSQL,
)

execution = Table(
    "execution",
    metadata,
    Column("id", ExecutionId, primary_key=True),
    Column("owner", Name, nullable=False),
    Column("graph_id", ForeignKey("graph.id"), nullable=False),
    Column("workflow", Name, nullable=False),
    Column("definition_digest", String(64), nullable=False),
    Column("request_digest", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("info", Json),
    Column("cause", Json),
    Column("live", Integer, nullable=False),
    Column("backlog", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("unhandled", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    Column("input", Json, nullable=False),
    Column("params", Json, nullable=False),
    Column("output", Json),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("asleep", Integer, nullable=False, server_default="0"),
    Column("parent_id", ExecutionId),
    Column("parent_task", Name),
    Column("parent_node", Integer),
    Column("parent_iteration", Integer),
    Column("parent_item", Integer),
    Column("parent_attempt", Integer),
    Column("root_id", ExecutionId, index=True),
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("ignored", Integer, nullable=False, server_default="0"),
    Column("reverted", Integer, nullable=False, server_default="0"),
    Column("broken", Integer, nullable=False, server_default="0"),
    Column("namespace", Name),
    Column("flow", Name),
    Column("has_data", Integer),  # 1: its runs have contexts
    Column("variables", Json),
    Column("final_context", Json),
    Column("traceparent", String(55)),
    Column("notify", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index(None, "owner", "created_at", "id"),
    Index(None, "owner", "state", "created_at", "id"),
    Index(None, "parent_id", "state"),
    Index(None, "finished_at"),
    **MYSQL,
)

execution_tag = Table(
    "execution_tag",
    metadata,
    Column("execution_id", ForeignKey("execution.id"), primary_key=True),
    Column("tag", Name, primary_key=True),
    Index(None, "tag", "execution_id"),
    **MYSQL,
)

mark = Table(
    "mark",
    metadata,
    Column("execution_id", ExecutionId, primary_key=True),
    Column("node_id", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("item", Integer, primary_key=True, autoincrement=False, server_default="-1"),  # -1: the run itself
    Column("state", String(16), nullable=False),
    Column("info", Json),
    Column("attempt", Integer, nullable=False),
    Column("live", Integer, nullable=False),
    Column("dead", Integer, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("chosen", Json),
    Column("intent", String(16)),
    Column("place", Integer),
    Column("told", Integer, nullable=False),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("ending", String(16)),
    Column("unhandled", Integer),
    Column("last", Integer),
    Column("given", Json),
    Column("item_counts", Json),
    Column("asleep", Integer),
    Column("fed", Json),
    Column("loop", Json),
    Column("hold", Integer),
    Column("holds", Json),
    Column("strategy", String(16)),
    Column("asks", Integer),
    Column("due_at", UtcDateTime),
    Column("deadline_at", UtcDateTime),
    Column("alarm_at", UtcDateTime),
    Column("child_id", ExecutionId),
    Column("action", Name),
    Column("target", Name, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("finished_event", Integer),
    Column("outcome_digest", String(64)),
    Column("result", Json),
    Column("failure", Json),
    Column("context", Json),
    Column("input", Json),
    Column("published", Json),
    Column("undone", Json),  # how its revert ended: [result, failure]
    Column("attempts", Json),  # of a retry controller: [[result, {atom: failure}], ...]
    # What follows belongs to whoever holds the task; a decision sets `offered_at` when it hands the task out.
    Column("offered_at", UtcDateTime),
    Column("claimed_by", Name),
    Column("claim_key", Name),
    Column("lease_expires_at", UtcDateTime),
    Column("progress", Float),
    # And this to the dispatcher: how often sending this attempt failed and since when, and when one that has begun
    # counts as lost.
    Column("sends", Integer),
    Column("unsent_since", UtcDateTime),
    Column("resend_at", UtcDateTime),
    **MYSQL,
)
# Small on PostgreSQL and SQLite however many tasks have ended: only what is on offer, claimed or in the backlog counts.
for columns, condition in (
    ((mark.c.target, mark.c.offered_at), mark.c.offered_at.is_not(None)),
    ((mark.c.alarm_at,), mark.c.alarm_at.is_not(None)),
    ((mark.c.lease_expires_at,), mark.c.lease_expires_at.is_not(None)),
    ((mark.c.resend_at,), mark.c.resend_at.is_not(None)),
    ((mark.c.claim_key,), mark.c.claim_key.is_not(None)),
    ((mark.c.execution_id, mark.c.place), mark.c.place.is_not(None)),
):
    Index(None, *columns, postgresql_where=condition, sqlite_where=condition)

stored_value = Table(
    "stored_value",
    metadata,
    Column("execution_id", ExecutionId, primary_key=True),
    Column("digest", String(32), primary_key=True),
    Column("body", Json, nullable=False),
    **MYSQL,
)

history = Table(
    "history",
    metadata,
    Column("execution_id", ExecutionId, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("node_id", Integer),
    Column("iteration", Integer),
    Column("item", Integer),
    Column("attempt", Integer),
    Column("info", Json),
    Column("late", Json),
    **MYSQL,
)

_late = history.c.kind == "late_result"
Index(None, history.c.execution_id, history.c.kind, postgresql_where=_late, sqlite_where=_late)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("execution_id", ForeignKey("execution.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    # Of a notification: what to send, where, since when and how often that failed, and why.
    Column("body", Json),
    Column("url", Text),
    Column("tries", Integer),
    Column("error", Text),
    Column("created_at", UtcDateTime),
    Index(None, "kind", "due_at"),
    **MYSQL,
)

secret = Table(
    "secret",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    **MYSQL,
)
