"""Every SQL statement that a decision needs, bound to the transaction it runs in; `db/statements.py` lists them."""

from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache, partial
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from lazyengine.core.graph import Key, Node
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
from lazyengine.db.direct import Direct, DirectList, batches, commit
from lazyengine.db.graphs import Graphs
from lazyengine.db.kept import Kept
from lazyengine.db.recent import READ_AT_ONCE, UNKNOWN, Recent, Run, Seen, joined, left
from lazyengine.db.rows import (
    event_row,
    execution_of,
    header_of,
    identity_of,
    is_plain,
    is_plain_event,
    mark_of,
    mark_row,
    parent_columns,
    run_left,
    run_of,
)
from lazyengine.db.statements import (
    BACKLOG,
    CARRY_ON,
    COUNTERS,
    HEADER,
    LOCK_AND_READ,
    LOCK_AND_READ_ALL,
    LOCK_EXECUTION,
    MARKS,
    NAMED_EXECUTION,
    NOTIFY,
    RARE_OF_HEADER,
    READ_WITH_LOCK,
    REGION,
    RING,
    RUNS_OF,
    SAVE_END,
    SAVE_HEADER,
    SMALL_MARK,
    STEER,
    append_history,
    save_decision,
    save_marks,
)
from lazyengine.records import Execution, Identity, RunData

T = TypeVar("T")

_execution = t.execution.c
_mark = t.mark.c

NOT_NULL_VIOLATION = "23502"

UNREAD: Any = object()
_rare = attrgetter(*RARE_OF_HEADER)
_MarkRow: Any = namedtuple("MarkRow", [column.name for column in READ_WITH_LOCK])  # type: ignore[misc]

_lock_execution, _runs_of = Direct(LOCK_EXECUTION), Direct(RUNS_OF)
_lock_and_read, _lock_and_read_all = Direct(LOCK_AND_READ), Direct(LOCK_AND_READ_ALL)
_marks = DirectList(MARKS, _mark.node_id)
_save_header, _save_end = Direct(SAVE_HEADER), Direct(SAVE_END)

MOST_AT_ONCE, MOST_BESIDE = 32, 6
"""Rows of a kind that one statement writes; and beside others, where each number of them is a statement of its own."""


@cache
def _save_marks(count: int, is_plain: bool) -> Direct:
    return Direct(lambda dialect: save_marks(dialect, count, is_plain))


@cache
def _append_history(count: int, is_plain: bool) -> Direct:
    return Direct(append_history(count, is_plain))


@cache
def _save_decision(marks: int, events: int, ends: bool, is_plain: bool) -> Direct:
    return Direct(save_decision(marks, events, ends, is_plain))


MOST_READ_AHEAD = 32
"""Edges of a node whose ends are read with the lock: each is a row that holds the header once more."""


class Superseded(Exception):
    """Somebody else wrote to an execution meanwhile; the transaction has to start again."""


class Unseen(Exception):
    """It cannot be decided upon what is remembered; the transaction has to start again, and read."""


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


class Store(Graphs):
    """The statements of one transaction.

    :param recent: what the process remembers of executions; None where that is of no use
    :param guesses: it may decide upon that
    :ivar has_news: somebody may wait for what it does: tasks were handed out, or an execution has come to its end
    :ivar is_guess: it does; nothing was read, and it may turn out to be wrong
    """

    has_news = is_guess = False

    def __init__(
        self, connection: Connection, kept: Kept | None = None, recent: Recent | None = None, guesses: bool = False
    ) -> None:
        super().__init__(connection, kept)
        self._recent, self._guesses = recent, guesses
        self._first_runs: dict[tuple[str, int], Any] = {}
        self._others: tuple[str, Seen] | None = None  # where first runs are found that are not among those
        self._guess: tuple[Identity, str, Run] | None = None
        self._left: dict[str, Seen | None] = {}  # how executions are left; None: that is not known
        self._unsaved: tuple[Direct, Sequence[dict[str, Any]]] | None = None

    # -- executions ---------------------------------------------------------------------------------------------------

    def add_execution(self, identity: Identity, execution: Execution, digest: str, variables: dict[str, Any]) -> None:
        """Insert the row of a new execution; `save_header` has to follow."""
        counters = dict.fromkeys(COUNTERS, 0)
        self._left[execution.id] = Seen(Header(), {}, is_complete=True)
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
        if self._kept:
            self._kept.keep_identity(identity)

    def lock_execution(self, owner: str, execution_id: str, task: str | None = None) -> Locked | None:
        """Lock an execution's row for the rest of the transaction and return it without its large columns.

        On PostgreSQL, the first runs of `task` and of the nodes that it leads to are read in passing, if the process
        has had to do with the execution before; or nothing is read or locked, but what is remembered returned.

        :param task: the name of one whose run will be asked for
        """
        known = self._kept.identity(execution_id) if self._kept and self.dialect == "postgresql" else None
        header = None
        if known and known.owner == owner:
            if task and self._guesses and (header := self._remember(known, task)):
                return Locked(header, known)
            header = self._lock_and_read(owner, known, task)
        if header and known:
            return Locked(header, known)
        row = _lock_execution.first(self.connection, {"id": execution_id, "owner": owner})
        if row is None:
            return None
        identity = identity_of(row)
        if self._kept:
            self._kept.keep_identity(identity)
        return Locked(header_of(row), identity)

    def _remember(self, known: Identity, task: str) -> Header | None:
        """Return how an execution was left, if that is enough for the end of a task."""
        recent = self._recent
        seen = recent.get(known.id) if recent and recent.is_trusted and recent.is_fit(known.graph_id, task) else None
        node = self._known(known.graph_id, task) if seen else None
        if seen is None or node is None:
            return None
        absent = None if seen.is_complete else UNREAD
        runs = {id: seen.runs.get(id, absent) for id in self._beside(known.graph_id, node)}
        own = runs[node.id]
        if own is None or any(run is UNREAD for run in runs.values()):
            return None
        runs[node.id] = own = own.copy()
        self._first_runs = {(known.id, id): run for id, run in runs.items()}
        self._guess, self.is_guess = (known, task, own), True
        self._others, self._left[known.id] = (known.id, seen), seen
        return seen.header

    def _lock_and_read(self, owner: str, known: Identity, task: str | None) -> Header | None:
        """Lock an execution, and read what a completion of `task` will ask for; None if it is another one.

        The marks are not locked, but nobody writes to them without the lock on the row of the execution that is.  If
        that had to be waited for, its generation is another one now than it was as the marks were read, and all is read
        again.
        """
        recent = self._recent if task and not known.has_data and known.flow is None else None
        seen = recent.get(known.id) if recent else None
        reads_all = recent is not None and seen is None and recent.is_trusted
        node = self._known(known.graph_id, task) if task else None
        ids = self._beside(known.graph_id, node) if node else []
        statement, wanted = (_lock_and_read_all, READ_AT_ONCE + 1) if reads_all else (_lock_and_read, ids)
        values = {"id": known.id, "owner": owner, "node_ids": wanted, "limit": wanted}
        rows = statement.rows(self.connection, values)
        if rows and wanted and rows[0].generation != rows[0].seen_generation:
            rows = statement.rows(self.connection, values)
        if not rows or (rows[0].graph_id, rows[0].created_at) != (known.graph_id, known.created_at):
            return None
        header = header_of(rows[0])
        marks: list[Any] = [_MarkRow._make(row[-len(READ_WITH_LOCK) :]) for row in rows if row.mark_state]
        found = {row.node_id: run_of(row) for row in marks if (row.iteration, row.item) == (1, WHOLE)}
        runs: dict[int, Run | None] = {**found} if reads_all else {id: found.get(id) for id in ids}
        self._first_runs |= {(known.id, id): run for id, run in runs.items()}
        read = Seen(header, runs, reads_all and len(marks) <= READ_AT_ONCE)
        if read.is_complete:
            self._others = known.id, read
        if recent:
            as_left = seen if seen and seen.header.generation == header.generation else None
            recent.learn(as_left is not None)
            self._left[known.id] = joined(as_left, read) if as_left else read
        return header

    def _beside(self, graph_id: int, node: Node) -> list[int]:
        """Return a node and those that it leads to, as far as the process knows them and their marks may be needed."""
        edges = node.edges[:MOST_READ_AHEAD]
        targets = [self._known(graph_id, edge.to) for edge in edges if isinstance(edge.to, int)]
        return [node.id, *(one.id for one in targets if one and one.counts)]

    def outline(self, owner: str, execution_id: str) -> Outline | None:
        """Return which graph an execution runs, and how it stands, without locking it."""
        columns = (_execution.graph_id, _execution.state, _execution.created_at)
        named = {"id": execution_id, "owner": owner}
        row = self.connection.execute(select(*columns).where(*NAMED_EXECUTION), named).first()
        return Outline(row.graph_id, ExecutionState(row.state), row.created_at) if row else None

    def execution(self, owner: str, execution_id: str) -> Execution | None:
        """Return an execution with its input and output."""
        named = {"id": execution_id, "owner": owner}
        row = self.connection.execute(select(t.execution).where(*NAMED_EXECUTION), named).first()
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
        self.save_decision(execution_id, [], [], before, after, now, **ended)

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
        read = {id: self._first_run(execution_id, id) for id in ids}
        unread = [id for id, row in read.items() if row is UNREAD]
        marks = [mark_of(row) for row in read.values() if row is not UNREAD and row is not None]
        if unread:
            self._note_reading(execution_id)
            marks += map(mark_of, _marks.rows(self.connection, {"execution_id": execution_id}, unread))
        return {(mark.node, mark.iteration): mark for mark in marks}

    def _note_reading(self, execution_id: str) -> None:
        """Note that there is more to an execution than was read with its lock."""
        if execution_id in self._left:
            self._left[execution_id] = UNKNOWN

    def _first_run(self, execution_id: str, node_id: int) -> Any:
        """Return what is known of the first run of a node: it, None if it has none, or `UNREAD`."""
        found = self._first_runs.get((execution_id, node_id), UNREAD)
        if found is UNREAD and self._others and self._others[0] == execution_id:
            seen = self._others[1]
            found = seen.runs.get(node_id, None if seen.is_complete else UNREAD)
        return found

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

    def runs_of(self, execution_id: str, node_id: int, iteration: int | None) -> dict[int, Any]:
        """Return the rows of iteration 1 and of `iteration` (None: the newest) of a node, by iteration."""
        first = self._first_run(execution_id, node_id)
        if first is None:
            return {}
        if first is not UNREAD and (iteration == 1 or (iteration is None and first.runs <= 1)):
            return {1: first}
        self._note_reading(execution_id)
        values = {"execution_id": execution_id, "node_id": node_id, "iteration": iteration}
        return {row.iteration: row for row in _runs_of.rows(self.connection, values)}

    def read_ahead(self, execution_id: str, node_ids: Collection[int]) -> None:
        """Read the first runs of nodes in one statement: `runs_of` will be asked for them."""
        found = {row.node_id: row for row in _marks.rows(self.connection, {"execution_id": execution_id}, node_ids)}
        self._first_runs |= {(execution_id, id): found.get(id) for id in node_ids}

    def backlog(self, execution_id: str, limit: int) -> dict[Key, Mark]:
        """Return up to `limit` marks of the backlog in the order in which they came into it."""
        rows = self.connection.execute(BACKLOG, {"execution_id": execution_id, "limit": limit})
        return {mark.key: mark for mark in map(mark_of, rows)}

    def save_decision(
        self,
        execution_id: str,
        runs: Sequence[tuple[Mark, Node, RunData]],
        events: Sequence[Event],
        before: Header,
        after: Header,
        now: datetime,
        **ended: Any,
    ) -> None:
        """Write what a decision came to: marks, history, and the header.

        Marks that exist keep what a claim has written to them meanwhile.  No row of the history is ever changed.

        :param runs: in the order of the keys of their marks, as in every transaction that writes several: so none wait
            in a circle
        :param ended: the output, if that is another now
        :raises Superseded: the header is not at the generation of `before` any more
        """
        self.flush()
        shared = {"execution_id": execution_id, "now": now}
        header = shared | {name: getattr(after, name) for name in HEADER} | {"before": before.generation} | ended
        identity, _, told = self._guess or (None, None, None)
        header |= {
            "created_at": identity.created_at if identity else None,
            "told": told.mark.node if told else None,
        }
        if ended:
            header["finished_at"] = now if after.state in FINAL_EXECUTION_STATES else None
        plain = _rare(before) == _rare(after) and all(map(is_plain_event, events))
        plain = plain and all(is_plain(mark, data) for mark, _, data in runs)

        def row_of(run: tuple[Mark, Node, RunData]) -> dict[str, Any]:
            return mark_row(*run, now, plain)

        def note_of(event: Event) -> dict[str, Any]:
            return event_row(event, plain)

        if self._connection.dialect.driver == "psycopg":
            count = len(runs)
            runs = self._rest(partial(_save_marks, is_plain=plain), shared, runs, row_of)
            events = self._rest(partial(_append_history, is_plain=plain), shared, events, note_of)
            statement = _save_decision(len(runs), len(events), bool(ended), plain)
            rows = list(map(row_of, runs))
            self._unsaved = statement, (header, *rows, *map(note_of, events))
            self._note_left(execution_id, runs, rows, after, now, plain and len(runs) == count)
        else:
            _save_marks(1, plain).run_many(self.connection, shared, map(row_of, runs))
            _append_history(1, plain).run_many(self.connection, shared, map(note_of, events))
            self._check((_save_end if ended else _save_header).run(self.connection, header))
        self._first_runs.clear()
        self._others = None

    def _note_left(
        self, execution_id: str, runs: Sequence[tuple[Mark, Node, RunData]], rows: Sequence[dict[str, Any]],
        header: Header, now: datetime, is_all: bool,
    ) -> None:  # fmt: skip
        """Note how a decision leaves an execution, if all of it is known.

        :param rows: what is written of the marks
        :param is_all: they are all, and plain
        """
        before = self._left.get(execution_id)
        self._left[execution_id] = None
        if before is None or header.state in FINAL_EXECUTION_STATES:
            return
        self._left[execution_id] = UNKNOWN._replace(header=header)
        if before is UNKNOWN or not is_all:
            return
        found: dict[int, Run] = {}
        for (mark, _, _), row in zip(runs, rows, strict=True):
            run = run_left(mark, row, before.runs.get(mark.node), now) if mark.iteration == 1 else None
            if run is None:
                return
            found[mark.node] = run
        self._left[execution_id] = left(before, header, found)

    def remember(self) -> None:
        """Let the process remember how executions were left.  Call it after the commit."""
        if self._recent:
            for execution_id, seen in self._left.items():
                self._recent.keep(execution_id, seen)

    def learn(self, error: Exception) -> None:
        """Let the process learn from what made its guess worthless."""
        assert self._recent
        assert self._guess
        if isinstance(error, Superseded):
            self._recent.learn(False)
            self._recent.keep(self._guess[0].id, None)
        elif isinstance(error, Unseen):
            self._recent.note_unfit(self._guess[0].graph_id, self._guess[1])

    def _check(self, hit: int) -> None:
        if not hit:
            raise Superseded

    @property
    def connection(self) -> Connection:
        """What else is executed comes after what was saved.

        :raises Unseen: nothing can be executed before what is decided upon a guess
        """
        if self.is_guess:
            raise Unseen
        self.flush()
        return self._connection

    def flush(self) -> None:
        """Execute what was saved last.  Raises what `save_decision` does."""
        if self._unsaved:
            if self.is_guess:
                raise Unseen
            self._save(self._unsaved[0].rows)

    def finish(self) -> None:
        """Over psycopg, commit in one message with what was saved last, or with the news; else leave it to SQLAlchemy.

        Raises what `save_decision` does.
        """
        if self._connection.dialect.driver != "psycopg":
            return
        then = RING if self.has_news else None
        if self._unsaved:
            (told,) = self._save(partial(self._unsaved[0].rows_last, then=then))
            if self._guess and self._recent:
                self._recent.learn(True)
                run = self._guess[-1]
                run.claimed_by, run.progress = told
        elif self.is_guess:
            raise Unseen
        elif then:
            commit(self._connection, then)

    def _save(self, execute: Callable[..., list[Any]]) -> list[Any]:
        assert self._unsaved is not None
        (_, rows), self._unsaved = self._unsaved, None
        try:
            saved = execute(self._connection, *rows)
        except IntegrityError as error:
            cause: Any = error.orig
            if getattr(cause, "sqlstate", None) == NOT_NULL_VIOLATION and cause.diag.column_name == "generation":
                raise Superseded from error
            raise
        self._check(len(saved))
        return saved

    def _rest(
        self, statement: Callable[[int], Direct], shared: dict[str, Any], values: Sequence[T],
        row_of: Callable[[T], Any],
    ) -> Sequence[T]:  # fmt: skip
        """Write all rows but the last `MOST_BESIDE` at most, and return those."""
        while len(values) > MOST_BESIDE:
            count = MOST_AT_ONCE if len(values) >= MOST_AT_ONCE else MOST_BESIDE
            statement(count).run(self.connection, shared, *map(row_of, values[:count]))
            values = values[count:]
        return values

    def withdraw(self, execution_id: str) -> None:
        """Take what is still on offer off it."""
        self.connection.execute(
            update(t.mark)
            .where(_mark.execution_id == execution_id, _mark.offered_at.is_not(None))
            .values(offered_at=None)
        )

    # -- history and outbox -------------------------------------------------------------------------------------------

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
