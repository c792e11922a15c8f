"""Statements of those who look on; none locks anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, select

from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, Failure, Outcome
from lazyengine.db import tables as t
from lazyengine.db.claims import offers
from lazyengine.db.direct import batches
from lazyengine.db.statements import NAMED_EXECUTION
from lazyengine.records import Claim, Page, PastEvent


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks somebody would claim; None is any action."""

    owner: str
    targets: tuple[str, ...]
    actions: tuple[str, ...] | None


def count_offers(connection: Connection, wanted: Wanted, most: int, now: datetime) -> int:
    """Count the tasks on offer, up to `most`; served by the index (target, offered_at), which holds only those."""
    found = offers(wanted.owner, Claim("", wanted.targets, wanted.actions), now).limit(most).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def standings(connection: Connection, execution_ids: Iterable[str]) -> dict[str, tuple[ExecutionState, int]]:
    """Return (state, number of history rows) by execution; served by the primary key."""
    table = t.execution.c
    return {
        row.id: (ExecutionState(row.state), row.events)
        for batch in batches(execution_ids)
        for row in connection.execute(select(table.id, table.state, table.events).where(table.id.in_(batch)))
    }


def list_events(
    connection: Connection, owner: str, execution_id: str, after: int, limit: int
) -> tuple[Page[PastEvent], bool] | None:
    """Return one page of history in order and whether the execution is over; None where there is none such.

    Served by the primary keys: two statements, `limit` + 1 rows.  The state is read first: what is over by then has
    written its history.
    """
    table, row_of = t.execution.c, t.history.c
    named = {"id": execution_id, "owner": owner}
    head = connection.execute(select(table.graph_id, table.state).where(*NAMED_EXECUTION), named).first()
    if head is None:
        return None
    node = and_(t.node.c.graph_id == head.graph_id, t.node.c.id == row_of.node_id)
    rows = connection.execute(
        select(t.history, t.node.c.name)
        .select_from(t.history.outerjoin(t.node, node))
        .where(row_of.execution_id == execution_id, row_of.number > after)
        .order_by(row_of.number)
        .limit(limit + 1)
    ).all()
    page = Page(tuple(_past_event(row) for row in rows[:limit]), len(rows) > limit)
    return page, head.state in FINAL_EXECUTION_STATES


def _past_event(row: object) -> PastEvent:
    values = row._mapping  # type: ignore[attr-defined]
    late = values["late"]
    outcome = None
    if late is not None:
        failure = Failure(**late["failure"]) if late["failure"] else None
        outcome = Outcome(late["state"], late["result"], failure)
    names = ("number", "at", "kind", "state", "iteration", "item", "attempt", "info")
    return PastEvent(**{name: values[name] for name in names}, task=values["name"], late=outcome)
