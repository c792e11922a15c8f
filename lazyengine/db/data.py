"""Statements of the data flow; only executions whose tasks have expressions or publish something need any."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, null, or_, select, update
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from lazyengine.core.context import Context, Slot
from lazyengine.core.graph import Key
from lazyengine.core.state import FINAL_TASK_STATES, WHOLE, Outcome
from lazyengine.db import tables as t
from lazyengine.db.direct import Direct, DirectList
from lazyengine.db.rows import context_from_json, outcome_of
from lazyengine.db.store import named
from lazyengine.db.types import to_json

LARGEST_FAMILY = 1_000
"""Executions that an expression sees at most."""

LONGEST_INLINE = 100
"""Characters of JSON up to which a value stands in the context itself."""

ADD_VALUE: dict[str, Any] = {
    "sqlite": sqlite_insert(t.stored_value).on_conflict_do_nothing(),
    "postgresql": postgresql_insert(t.stored_value).on_conflict_do_nothing(),
    "mysql": mysql_insert(t.stored_value).prefix_with("IGNORE"),
}

_execution, _mark, _value = t.execution.c, t.mark.c, t.stored_value.c

_execution_data = Direct(
    select(
        _execution.id,
        _execution.workflow,
        _execution.input,
        _execution.params,
        _execution.variables,
        _execution.final_context,
        _execution.created_at,
        _execution.updated_at,
        _execution.root_id,
        _execution.graph_id,
    ).where(_execution.id == bindparam("execution_id"))
)
_columns = {
    column.name: Direct(
        select(column.label("body")).where(
            *(_mark[name] == bindparam(name) for name in ("execution_id", "node_id", "iteration", "item")),
            column.is_not(None),
        )
    )
    for column in (_mark.context, _mark.input, _mark.published)
}
_of_execution = _mark.execution_id == bindparam("execution_id")
_atoms = DirectList(
    select(_mark.node_id, _mark.state, _mark.result, _mark.failure, _mark.attempts).where(
        _of_execution, _mark.iteration == 1, _mark.item == WHOLE
    ),
    _mark.node_id,
)
_stored = DirectList(
    select(_value.digest, _value.body).where(_value.execution_id == bindparam("execution_id")), _value.digest
)


def slot_of(value: Any) -> tuple[Slot, bool]:
    """Return what stands for a value in a context, and whether the value has to be stored for it.

    A short value stands for itself, in a list; a long one is stored once under its digest.
    """
    text = to_json(value)
    if len(text) <= LONGEST_INLINE:
        return [value], False
    return hashlib.sha256(text.encode()).hexdigest()[:32], True


def read_values(connection: Connection, execution_id: str, digests: Iterable[str]) -> dict[str, Any]:
    """Return stored values; served by the primary key."""
    return {row.digest: row.body for row in _stored.rows(connection, {"execution_id": execution_id}, set(digests))}


def add_values(connection: Connection, execution_id: str, values: Mapping[str, Any]) -> None:
    """Store values that are not stored yet; at least one."""
    rows = [{"execution_id": execution_id, "digest": digest, "body": values[digest]} for digest in sorted(values)]
    connection.execute(ADD_VALUE[connection.dialect.name], rows)


def read_contexts(connection: Connection, execution_id: str, keys: Iterable[Key]) -> dict[Key, Context]:
    """Return the contexts of runs."""
    found = _read_column(connection, execution_id, keys, _mark.context)
    return {key: context_from_json(body) for key, body in found.items()}


def read_execution_data(connection: Connection, execution_id: str) -> Any:
    """Return the input, parameters and variables of an execution, and what `execution()` shows of it."""
    return _execution_data.first(connection, {"execution_id": execution_id})


def read_family(connection: Connection, root_id: str) -> list[Any]:
    """Return an execution and those below it, at most `LARGEST_FAMILY`, oldest first; served by the index (root_id)."""
    columns = [column for column in _execution if column.name not in ("variables", "final_context")]
    statement = select(*columns).where(or_(_execution.id == root_id, _execution.root_id == root_id))
    ordered = statement.order_by(_execution.created_at, _execution.depth, _execution.id)
    return list(connection.execute(ordered.limit(LARGEST_FAMILY)))


def save_execution_data(connection: Connection, execution_id: str, **columns: Any) -> None:
    """Keep the variables that every task of an execution sees, and the context of its end so far."""
    connection.execute(update(t.execution).where(_execution.id == execution_id).values(**columns))


def read_inputs(connection: Connection, execution_id: str, keys: Iterable[Key]) -> dict[Key, dict[str, Any]]:
    """Return the evaluated inputs of runs that have some."""
    return _read_column(connection, execution_id, keys, _mark.input)


def read_who(connection: Connection, execution_id: str, key: Key) -> tuple[str | None, str]:
    """Return the action and the target of a run or an item."""
    row = connection.execute(select(_mark.action, _mark.target).where(*named(execution_id, key))).one()
    return row.action, row.target


def read_published(connection: Connection, execution_id: str, keys: Iterable[Key]) -> dict[Key, dict[str, Any]]:
    """Return what runs have published."""
    return _read_column(connection, execution_id, keys, _mark.published)


def read_item_results(connection: Connection, execution_id: str, key: Key) -> dict[int, Outcome]:
    """Return how the items of a run ended, as far as that was saved."""
    rows = connection.execute(
        select(_mark.item, _mark.state, _mark.result, _mark.failure).where(
            _mark.execution_id == execution_id,
            _mark.node_id == key[0],
            _mark.iteration == key[1],
            _mark.item != WHOLE,
            _mark.state.in_(FINAL_TASK_STATES),
        )
    )
    return {row.item: outcome_of(row) for row in rows}


def _read_column(connection: Connection, execution_id: str, keys: Iterable[Key], column: Any) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for key in keys:
        at = {"execution_id": execution_id, "node_id": key[0], "iteration": key[1]}
        row = _columns[column.name].first(connection, at | {"item": key[2] if len(key) > 2 else WHOLE})
        if row is not None:
            found[key] = row.body
    return found


def read_task_data(
    connection: Connection, execution_ids: Iterable[str], names: Iterable[str] | None, with_body: bool
) -> list[Any]:
    """Return every run of the named tasks (None: of all) of executions, with its result and perhaps its node's body.

    The oldest comes first.
    """
    body = t.node.c.body if with_body else null().label("body")
    columns = [column for column in _mark if column.name != "context"]
    since = func.coalesce(_mark.started_at, _mark.finished_at)  # a join that failed has never started
    statement = (
        select(t.node.c.name, body, _mark.child_id.is_not(None).label("is_workflow"), *columns)
        .join(t.execution, _execution.id == _mark.execution_id)
        .join(t.node, and_(t.node.c.graph_id == _execution.graph_id, t.node.c.id == _mark.node_id))
        .where(_mark.execution_id.in_(list(execution_ids)), since.is_not(None))
        .where(_mark.item == WHOLE)
        .order_by(since, _mark.node_id, _mark.iteration)
    )
    if names is not None:
        statement = statement.where(t.node.c.name.in_(sorted(names)))
    return list(connection.execute(statement))


def read_atoms(connection: Connection, execution_id: str, ids: Iterable[int]) -> dict[int, Any]:
    """Return state, result, failure and attempts of atoms of a flow, by node."""
    return {row.node_id: row for row in _atoms.rows(connection, {"execution_id": execution_id}, set(ids))}
