"""Every SQL statement that a decision needs, bound to the transaction it runs in; `db/statements.py` lists them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, insert, select, update

from lazyengine.core.graph import Graph, Key, Node
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    FINAL_EXECUTION_STATES,
    WHOLE,
    Event,
    EventKind,
    ExecutionState,
    Header,
    Mark,
    Outcome,
)
from lazyengine.db import tables as t
from lazyengine.db.rows import (
    NO_DATA,
    event_row,
    execution_of,
    graph_from_json,
    graph_to_json,
    header_of,
    identity_of,
    mark_of,
    mark_row,
    node_of,
    node_row,
    parent_columns,
)
from lazyengine.db.statements import (
    BACKLOG,
    CARRY_ON,
    COUNTERS,
    HEADER,
    LOCK_EXECUTION,
    MARKS,
    NODE_NAMED,
    NODES,
    NOTIFY,
    REGION,
    RUNS_OF,
    SAVE_END,
    SAVE_HEADER,
    SAVE_MARKS,
    SMALL_MARK,
    STEER,
)
from lazyengine.records import Execution, Identity, RunData

K = TypeVar("K", int, str)

LONGEST_LIST = 10_000
"""Keys in one statement; SQLite binds at most 32,766 values."""

_execution = t.execution.c
_mark = t.mark.c


class Superseded(Exception):
    """Somebody else wrote to an execution although its row was locked; the transaction has to start again."""


@dataclass(frozen=True, slots=True)
class Locked:
    """An execution whose row is locked until the transaction ends."""

    header: Header
    identity: Identity


@dataclass(frozen=True, slots=True)
class Outline:
    """An execution in few words."""

    graph_id: int
    state: ExecutionState
    created_at: datetime


class Store:
    """The statements of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = connection.dialect.name

    # -- graphs -------------------------------------------------------------------------------------------------------

    def find_graph(self, digest: str) -> tuple[int, Graph] | None:
        """Return the id and the head of the graph with this digest."""
        row = self.connection.execute(select(t.graph.c.id, t.graph.c.head).where(t.graph.c.digest == digest)).first()
        return (row.id, graph_from_json(row.head)) if row else None

    def graph_head(self, graph_id: int) -> Graph:
        """Return the head of a graph."""
        return graph_from_json(
            self.connection.execute(select(t.graph.c.head).where(t.graph.c.id == graph_id)).scalar_one()
        )

    def add_graph(self, digest: str, head: Graph, nodes: Iterable[Node]) -> int:
        """Store a graph and return its id."""
        added = self.connection.execute(insert(t.graph).values(digest=digest, head=graph_to_json(head)))
        graph_id: int = added.inserted_primary_key[0]  # type: ignore[index]
        self.connection.execute(insert(t.node), [node_row(graph_id, node) for node in nodes])
        return graph_id

    def node_named(self, graph_id: int, name: str) -> Node | None:
        """Return a node by its name."""
        row = self.connection.execute(NODE_NAMED, {"graph_id": graph_id, "name": name}).first()
        return node_of(row) if row else None

    def nodes(self, graph_id: int, ids: Iterable[int]) -> dict[int, Node]:
        """Return nodes by id."""
        return {
            row.id: node_of(row)
            for batch in batches(ids)
            for row in self.connection.execute(NODES, {"graph_id": graph_id, "ids": batch})
        }

    # -- executions ---------------------------------------------------------------------------------------------------

    def add_execution(self, identity: Identity, execution: Execution, digest: str, variables: dict[str, Any]) -> None:
        """Insert the row of a new execution; `save_header` has to follow."""
        counters = dict.fromkeys(COUNTERS, 0)
        self.connection.execute(
            insert(t.execution).values(
                id=execution.id,
                owner=identity.owner,
                graph_id=identity.graph_id,
                workflow=execution.workflow,
                definition_digest=execution.definition_digest,
                request_digest=digest,
                state=execution.state,
                input=execution.input,
                params=execution.params,
                description=execution.description,
                tags=list(execution.tags),
                traceparent=identity.traceparent,
                namespace=identity.namespace or None,
                root_id=identity.root_id if identity.parent else None,
                depth=identity.depth,
                flow=identity.flow,
                notify=[[wish.url, list(wish.on)] for wish in identity.notify] or None,
                has_data=int(identity.has_data) or None,
                variables=variables or None,
                created_at=execution.created_at,
                updated_at=execution.updated_at,
                **parent_columns(identity.parent),
                **counters,
            )
        )
        self._add_tags(execution.id, execution.tags)

    def lock_execution(self, owner: str, execution_id: str) -> Locked | None:
        """Lock an execution's row for the rest of the transaction and return it without its large columns."""
        row = self.connection.execute(LOCK_EXECUTION, {"id": execution_id, "owner": owner}).first()
        return Locked(header_of(row), identity_of(row)) if row else None

    def outline(self, owner: str, execution_id: str) -> Outline | None:
        """Return which graph an execution runs, and how it stands, without locking it."""
        columns = (_execution.graph_id, _execution.state, _execution.created_at)
        where = (_execution.id == execution_id, _execution.owner == owner)
        row = self.connection.execute(select(*columns).where(*where)).first()
        return Outline(row.graph_id, ExecutionState(row.state), row.created_at) if row else None

    def execution(self, owner: str, execution_id: str) -> Execution | None:
        """Return an execution with its input and output."""
        where = (_execution.id == execution_id, _execution.owner == owner)
        row = self.connection.execute(select(t.execution).where(*where)).first()
        return execution_of(row) if row else None

    def request_digest(self, owner: str, execution_id: str) -> str | None:
        """Return the digest of the request that started an execution, whoever owns it; '' for another owner's."""
        row = self.connection.execute(
            select(_execution.owner, _execution.request_digest).where(_execution.id == execution_id)
        ).first()
        return None if row is None else row.request_digest if row.owner == owner else ""

    def save_header(self, execution_id: str, before: Header, after: Header, now: datetime, **ended: Any) -> None:
        """Update the header of an execution; `ended` holds its output, if that is another now.

        :raises Superseded: it is not at the generation of `before` any more
        """
        values = {name: getattr(after, name) for name in HEADER} | {"updated_at": now} | ended
        statement = SAVE_END if ended else SAVE_HEADER
        if ended:
            values["finished_at"] = now if after.state in FINAL_EXECUTION_STATES else None
        guard = {"execution_id": execution_id, "before": before.generation}
        if not self.connection.execute(statement, values | guard).rowcount:
            raise Superseded(execution_id)

    def output(self, execution_id: str) -> Any:
        """Return the output of an execution."""
        return self.connection.execute(select(_execution.output).where(_execution.id == execution_id)).scalar_one()

    def describe(self, execution_id: str, description: str | None, tags: Sequence[str] | None, now: datetime) -> None:
        """Change what people call an execution."""
        values: dict[str, Any] = {"updated_at": now}
        if description is not None:
            values["description"] = description
        if tags is not None:
            values["tags"] = list(tags)
            self.connection.execute(delete(t.execution_tag).where(t.execution_tag.c.execution_id == execution_id))
            self._add_tags(execution_id, tags)
        self.connection.execute(update(t.execution).where(_execution.id == execution_id).values(**values))

    def _add_tags(self, execution_id: str, tags: Iterable[str]) -> None:
        rows = [{"execution_id": execution_id, "tag": tag} for tag in dict.fromkeys(tags)]
        if rows:
            self.connection.execute(insert(t.execution_tag), rows)

    def delete_execution(self, execution_id: str) -> None:
        """Delete an execution and all that belongs to it; its graph stays."""
        for table in (t.mark, t.stored_value, t.history, t.outbox, t.execution_tag):
            self.connection.execute(delete(table).where(table.c.execution_id == execution_id))
        self.connection.execute(delete(t.execution).where(_execution.id == execution_id))

    # -- executions below an execution ------------------------------------------------------------------------------

    def children(self, execution_id: str) -> dict[str, ExecutionState]:
        """Return the executions that do the work of an execution's tasks, with their states, without locking them."""
        where = _execution.parent_id == execution_id
        rows = self.connection.execute(select(_execution.id, _execution.state).where(where))
        return {row.id: ExecutionState(row.state) for row in rows}

    def descendants(self, execution_id: str) -> list[str]:
        """Return all executions below one, each behind the one above it."""
        found: list[str] = []
        level = [execution_id]
        while level:
            rows = (
                self.connection.execute(select(_execution.id).where(_execution.parent_id.in_(batch)))
                for batch in batches(level)
            )
            level = [row.id for batch in rows for row in batch]
            found += level
        return found

    def has_child_in(self, execution_id: str, states: Iterable[ExecutionState]) -> bool:
        """Tell whether an execution below this one is in one of these states; served by the index (parent_id)."""
        where = (_execution.parent_id == execution_id, _execution.state.in_(states))
        return self.connection.execute(select(_execution.id).where(*where).limit(1)).first() is not None

    # -- marks --------------------------------------------------------------------------------------------------------

    def marks(self, execution_id: str, ids: Iterable[int]) -> dict[Key, Mark]:
        """Return the marks of iteration 1 of these nodes, as far as they have one."""
        return {
            (row.node_id, row.iteration): mark_of(row)
            for batch in batches(ids)
            for row in self.connection.execute(MARKS, {"execution_id": execution_id, "ids": batch})
        }

    def region(self, execution_id: str, first: int, last: int) -> dict[Key, Mark]:
        """Return what has happened to the nodes of a region."""
        values = {"execution_id": execution_id, "first": first, "last": last}
        return {mark.key: mark for mark in map(mark_of, self.connection.execute(REGION, values))}

    def waiting_marks(self, execution_id: str, node_id: int, runs: int) -> dict[Key, Mark]:
        """Return the marks of the runs of a join in a loop that come after `runs` runs of it."""
        rows = self.connection.execute(
            select(*SMALL_MARK).where(
                _mark.execution_id == execution_id,
                _mark.node_id == node_id,
                _mark.iteration > runs,
                _mark.item == WHOLE,
            )
        )
        return {mark.key: mark for mark in map(mark_of, rows)}

    def item_mark(self, execution_id: str, key: Key) -> Row[Any] | None:
        """Return the row of one item of a run."""
        statement = select(*SMALL_MARK).where(*named(execution_id, key))
        found: Row[Any] | None = self.connection.execute(statement).first()
        return found

    def outcome_at(self, execution_id: str, key: Key) -> Row[Any]:
        """Return the result and the failure that a run waits with."""
        statement = select(_mark.state, _mark.result, _mark.failure).where(*named(execution_id, key))
        return self.connection.execute(statement).one()  # type: ignore[return-value]

    def runs_of(self, execution_id: str, node_id: int, iteration: int | None) -> dict[int, Row[Any]]:
        """Return the rows of iteration 1 and of `iteration` (None: the newest) of a node, by iteration."""
        values = {"execution_id": execution_id, "node_id": node_id, "iteration": iteration}
        return {row.iteration: row for row in self.connection.execute(RUNS_OF, values)}

    def backlog(self, execution_id: str, limit: int) -> dict[Key, Mark]:
        """Return up to `limit` marks of the backlog in the order in which they came into it."""
        rows = self.connection.execute(BACKLOG, {"execution_id": execution_id, "limit": limit})
        return {mark.key: mark for mark in map(mark_of, rows)}

    def save_marks(
        self,
        execution_id: str,
        marks: Mapping[Key, Mark],
        nodes: Mapping[int, Node],
        data: Mapping[Key, RunData],
        now: datetime,
    ) -> None:
        """Write marks; those that exist keep what a claim has written to them meanwhile.

        Rows go in the order of their key, as in every transaction that writes several: so none wait in a circle.
        """
        keys = sorted(marks)
        for at in range(0, len(keys), LONGEST_LIST):  # a row takes more memory than its mark
            batch = keys[at : at + LONGEST_LIST]
            rows = [mark_row(execution_id, marks[key], nodes[key[0]], data.get(key, NO_DATA), now) for key in batch]
            self.connection.execute(SAVE_MARKS[self.dialect], rows)

    def withdraw(self, execution_id: str) -> None:
        """Take what is still on offer off it."""
        self.connection.execute(
            update(t.mark)
            .where(_mark.execution_id == execution_id, _mark.offered_at.is_not(None))
            .values(offered_at=None)
        )

    # -- history and outbox -------------------------------------------------------------------------------------------

    def append_history(self, execution_id: str, events: Iterable[Event]) -> None:
        """Append rows to the history; none is ever changed."""
        self.connection.execute(insert(t.history), [event_row(execution_id, event) for event in events])

    def has_kept_late(self, execution_id: str, mark: Mark, outcome: Outcome) -> bool:
        """Tell whether this late answer is in the history already; served by the index (execution_id, kind)."""
        c = t.history.c
        rows = self.connection.execute(
            select(c.late).where(
                c.execution_id == execution_id,
                c.kind == EventKind.LATE_RESULT,
                c.node_id == mark.node,
                c.iteration == mark.iteration,
                c.item.is_(None) if mark.item == WHOLE else c.item == mark.item,
                c.attempt == mark.attempt,
            )
        )
        return asdict(outcome) in [row.late for row in rows]

    def handed_out_after(self, execution_id: str, number: int) -> list[tuple[int, int, int | None, int, str, datetime]]:
        """Return (node, iteration, item, attempt, state, time) of what the decision of a history row handed out."""
        first = select(t.history.c.generation).where(*_event(execution_id, number)).scalar_subquery()
        rows = self.connection.execute(
            select(*(t.history.c[name] for name in ("node_id", "iteration", "item", "attempt", "state", "at")))
            .where(
                t.history.c.execution_id == execution_id,
                t.history.c.number > number,
                t.history.c.generation == first,
                t.history.c.state.in_(ATTEMPTED_TASK_STATES),
                t.history.c.node_id.is_not(None),
            )
            .order_by(t.history.c.number)
        )
        return [(row.node_id, row.iteration, row.item, row.attempt, row.state, row.at) for row in rows]

    def note(self, execution_id: str, kind: str, now: datetime) -> None:
        """Put down in the outbox what is to be done for an execution, by its kind."""
        self.connection.execute(insert(t.outbox).values(execution_id=execution_id, kind=kind, due_at=now))

    def notify(self, execution_id: str, urls: Iterable[str], body: dict[str, Any], now: datetime) -> None:
        """Put down in the outbox that somebody is to be told something."""
        row = {"execution_id": execution_id, "kind": NOTIFY, "due_at": now, "created_at": now, "body": body, "tries": 0}
        self.connection.execute(insert(t.outbox), [row | {"url": url} for url in urls])

    def notes(self, execution_id: str, kind: str) -> list[int]:
        """Return the ids of what `note` put down."""
        where = (t.outbox.c.execution_id == execution_id, t.outbox.c.kind == kind)
        return list(self.connection.execute(select(t.outbox.c.id).where(*where)).scalars())

    def clear_notes(self, ids: Iterable[int]) -> None:
        """Take back what `note` put down."""
        for batch in batches(ids):
            self.connection.execute(delete(t.outbox).where(t.outbox.c.id.in_(batch)))

    def noted(self, limit: int) -> list[tuple[str, str]]:
        """Return (owner, execution id) of executions for which something is to be done, the oldest first."""
        rows = self.connection.execute(
            select(_execution.owner, _execution.id)
            .join(t.outbox, t.outbox.c.execution_id == _execution.id)
            .where(t.outbox.c.kind.in_((CARRY_ON, STEER)))
            .order_by(t.outbox.c.due_at, t.outbox.c.id)
            .limit(limit)
        )
        return list(dict.fromkeys((row.owner, row.id) for row in rows))


def named(execution_id: str, key: Key) -> tuple[Any, ...]:
    """Return what a mark is found by: that of a run, or of an item."""
    return (
        _mark.execution_id == execution_id,
        _mark.node_id == key[0],
        _mark.iteration == key[1],
        _mark.item == (key[2] if len(key) > 2 else WHOLE),
    )


def _event(execution_id: str, number: int) -> tuple[Any, ...]:
    return (t.history.c.execution_id == execution_id, t.history.c.number == number)


def batches(keys: Iterable[K]) -> Iterator[list[K]]:
    """Cut keys into lists short enough for one statement."""
    ordered = sorted(keys)
    for start in range(0, len(ordered), LONGEST_LIST):
        yield ordered[start : start + LONGEST_LIST]
