"""Statements that read for people: one task, and lists of executions and tasks, page by page, without large columns."""

import operator
from typing import Any

from sqlalchemy import Connection, and_, func, literal, not_, select, tuple_

from lazyengine.core.graph import Node
from lazyengine.core.state import WHOLE, Mark, TaskState
from lazyengine.db import tables as t
from lazyengine.db.rows import execution_of, mark_of, node_of, outcome_of, summary_of, task_of
from lazyengine.db.statements import LARGE_MARK
from lazyengine.records import Execution, ExecutionQuery, Page, RunData, RunSummary, Task, TaskQuery

COMPARE = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}
LARGE_EXECUTION = ("input", "output", "variables", "final_context")


def list_executions(connection: Connection, owner: str, query: ExecutionQuery) -> Page[Execution]:
    """Return one page, ordered by creation; served by the index (owner, created_at, id)."""
    table = t.execution.c
    columns = [column for column in table if query.values or column.name not in LARGE_EXECUTION]
    statement = select(*columns).where(table.owner == owner)
    if query.states:
        statement = statement.where(table.state.in_(query.states))
    if query.workflow is not None:
        statement = statement.where(table.workflow == query.workflow)
    if query.parent is not None:
        statement = statement.where(table.parent_id == query.parent)
    if query.tag is not None:
        tagged = select(t.execution_tag.c.execution_id).where(t.execution_tag.c.tag == query.tag)
        statement = statement.where(table.id.in_(tagged))
    for name, moment in query.created:
        statement = statement.where(COMPARE[name](table.created_at, moment))
    if query.marker is not None:
        last = select(table.created_at, table.id).where(table.id == query.marker, table.owner == owner)
        found = connection.execute(last).first()
        if found is None:
            return Page((), False)
        beyond = operator.lt if query.descending else operator.gt
        place = tuple_(literal(found.created_at, table.created_at.type), literal(found.id, table.id.type))
        statement = statement.where(beyond(tuple_(table.created_at, table.id), place))
    order = [column.desc() if query.descending else column.asc() for column in (table.created_at, table.id)]
    rows = connection.execute(statement.order_by(*order).limit(query.limit + 1)).all()
    return Page(tuple(execution_of(row) for row in rows[: query.limit]), len(rows) > query.limit)


def list_tasks(connection: Connection, execution_id: str, graph_id: int, query: TaskQuery) -> Page[Task]:
    """Return one page of the whole planned graph in the order of the definition, each task with all its runs."""
    node, mark = t.node.c, t.mark.c
    small = [column for column in mark if column.name not in LARGE_MARK]
    iteration = func.coalesce(mark.iteration, 1)
    run = (mark.execution_id == execution_id, mark.node_id == node.id, mark.item == WHOLE)
    statement = (
        select(t.node, *small)
        .select_from(t.node.outerjoin(t.mark, and_(*run)))
        .where(node.graph_id == graph_id, node.is_gate.is_(None))
    )
    if query.states:
        statement = statement.where(func.coalesce(mark.state, TaskState.PENDING.value).in_(query.states))
    if query.marker is not None:
        last_node, last_iteration = query.marker
        statement = statement.where(node.id >= last_node, not_(and_(node.id == last_node, iteration <= last_iteration)))
    rows = connection.execute(statement.order_by(node.id, iteration).limit(query.limit + 1)).all()
    tasks = tuple(_listed(execution_id, row) for row in rows[: query.limit])
    return Page(tasks, len(rows) > query.limit)


def _listed(execution_id: str, row: Any) -> Task:
    node = node_of(row)
    reached = row.state is not None
    mark = mark_of(row) if reached else Mark(node.id)
    return task_of(execution_id, node, mark, row if reached else None, with_input=False)


def read_graph(
    connection: Connection, execution_id: str, graph_id: int, limit: int
) -> tuple[list[Node], dict[int, RunSummary]]:
    """Return the first `limit` nodes of a graph, and by node the newest run that an execution has of it.

    Cost: one statement for the nodes and one for the runs, which looks up one key of `mark` for each node.
    """
    node, mark, other = t.node.c, t.mark.c, t.mark.alias("other")
    plan = select(t.node).where(node.graph_id == graph_id).order_by(node.id).limit(limit)
    nodes = [node_of(row) for row in connection.execute(plan)]
    newest = (
        select(other.c.iteration)
        .where(other.c.execution_id == execution_id, other.c.node_id == node.id, other.c.item == WHOLE)
        .order_by(other.c.iteration.desc())
        .limit(1)
        .scalar_subquery()
    )
    run = (mark.execution_id == execution_id, mark.node_id == node.id, mark.iteration == newest, mark.item == WHOLE)
    columns = (mark.node_id, mark.state, mark.iteration, mark.action, mark.item_counts)
    statement = select(*columns).select_from(t.node.join(t.mark, and_(*run)))
    rows = connection.execute(statement.where(node.graph_id == graph_id, node.id < limit))
    return nodes, {row.node_id: summary_of(row) for row in rows}


def read_task(
    connection: Connection, execution_id: str, node: Node, iteration: int | None, item: int | None = None
) -> Task | None:
    """Return one run of a node (None: the newest) with its input and result; None where it has no such run."""
    mark = t.mark.c
    of_item = mark.item == (WHOLE if item is None else item)
    statement = select(t.mark).where(mark.execution_id == execution_id, mark.node_id == node.id, of_item)
    if iteration is not None:
        statement = statement.where(mark.iteration == iteration)
    row: Any = connection.execute(statement.order_by(mark.iteration.desc()).limit(1)).first()
    if row is not None:
        data = RunData(input=row.input, published=row.published)
        return task_of(execution_id, node, mark_of(row), row, outcome_of(row), data)
    return task_of(execution_id, node, Mark(node.id)) if iteration in (None, 1) and item is None else None
