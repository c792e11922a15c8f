"""The statements of a decision, built once.

In the order of a completion; each is served by a primary key:

=====================  ========================================================================
lock_execution         SELECT … FROM execution WHERE id = ? AND owner = ? FOR UPDATE
node_named             SELECT … FROM node WHERE graph_id = ? AND name = ?       (unique key)
runs_of                SELECT … FROM mark WHERE execution_id = ? AND node_id = ? AND iteration …
nodes                  SELECT … FROM node WHERE graph_id = ? AND id IN (…)      (once a wave)
marks                  SELECT … FROM mark WHERE execution_id = ? AND node_id IN (…) AND iteration = 1
region                 SELECT … FROM mark WHERE execution_id = ? AND node_id BETWEEN ? AND ?   (of flows, on a failure)
save_marks             INSERT INTO mark … ON CONFLICT DO UPDATE
append_history         INSERT INTO history …
save_header            UPDATE execution SET … WHERE id = ? AND generation = ?
graph_head             SELECT … FROM graph WHERE id = ?             (at the end, and for execution().spec)
=====================  ========================================================================

On PostgreSQL LOCK_AND_READ is the first, third and fifth in one, and is mostly spared (`lazyengine.db.recent`);
`save_decision` is the three that write.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import column as sql_column
from sqlalchemy import values as sql_values
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    BACKWARD_TASK_STATES,
    FINAL_TASK_STATES,
    WHOLE,
    Intent,
    TaskState,
)
from lazyengine.db import tables as t
from lazyengine.db.direct import of_row, one_by_one
from lazyengine.db.types import IntegerList

COUNTERS = (
    "live", "asleep", "backlog", "held", "unhandled", "cancelled", "ignored", "reverted", "broken", "generation",
    "events",
)  # fmt: skip
HEADER = ("state", "info", "cause", *COUNTERS)
UNDECIDED = (
    "input", "output", "variables", "final_context", "description", "tags", "request_digest", "updated_at",
    "finished_at",
)  # fmt: skip
"""Columns of an execution that no decision reads."""
CARRY_ON = "carry_on"
"""Kind of an outbox row: the execution's backlog is to be worked off."""
STEER = "steer"
"""Kind of an outbox row: the executions that do the work of its tasks are to follow the execution's state."""
NOTIFY = "notify"
"""Kind of an outbox row: its body is to be sent to its url."""
DEAD_LETTER = "dead_letter"
"""Kind of an outbox row: a notification that was given up; nothing is to be done."""

CHANNEL = "lazyengine"
"""On which PostgreSQL tells processes that there is something new; see `lazyengine.db.bell`."""
_EARS = f"{int.from_bytes(b'lazy')}, 1"
LISTEN = f"LISTEN {CHANNEL}; SELECT pg_advisory_lock_shared({_EARS})"
"""Whoever listens holds a lock for as long as it does, so that those who tell know whether anybody does."""
RING = (
    f"SELECT CASE WHEN pg_try_advisory_xact_lock({_EARS}) THEN NULL ELSE"
    f" set_config('synchronous_commit', 'off', true) || pg_notify('{CHANNEL}', '')::text END"
)
"""Tells them, if anybody listens, without waiting for a disk, in a transaction of its own: one that tells holds up all
others that do.  Measured: half of the processor time of PostgreSQL for telling nobody."""

_execution = t.execution.c
_mark = t.mark.c

NAMED_EXECUTION = (
    _execution.id == bindparam("id"),
    func.coalesce(_execution.owner, literal_column("''")) == bindparam("owner", type_=_execution.owner.type),
)
"""An execution of an owner.  It is found by its id: an index of owners would lead to all that the owner has, and
PostgreSQL takes it for as good while there are few."""
LOCK_EXECUTION = (
    select(*(column for column in _execution if column.name not in UNDECIDED)).where(*NAMED_EXECUTION).with_for_update()
)
NODE_NAMED = select(t.node).where(t.node.c.graph_id == bindparam("graph_id"), t.node.c.name == bindparam("name"))
NODES = select(t.node).where(t.node.c.graph_id == bindparam("graph_id"))
LARGE_MARK = ("result", "failure", "context", "input", "published", "undone", "attempts")
SMALL_MARK = [column for column in _mark if column.name not in LARGE_MARK]
OF_MARK = "mark_"
MARKS = select(*SMALL_MARK).where(
    _mark.execution_id == bindparam("execution_id"), _mark.iteration == 1, _mark.item == WHOLE
)
REGION = select(*SMALL_MARK).where(
    _mark.execution_id == bindparam("execution_id"),
    _mark.node_id.between(bindparam("first"), bindparam("last")),
)
READ_WITH_LOCK = [column for column in SMALL_MARK if column.name != "execution_id"]
_seen = t.execution.alias("seen")
_first_runs = one_by_one(
    select(*READ_WITH_LOCK).where(_mark.execution_id == bindparam("id"), _mark.iteration == 1, _mark.item == WHOLE),
    _mark.node_id,
    bindparam("node_ids", type_=IntegerList),
).subquery("first_run")


def _lock_and_read(marks: FromClause) -> Select[Any]:
    return (
        select(
            *(_execution[name] for name in ("graph_id", "created_at", *HEADER)),
            select(_seen.c.generation).where(_seen.c.id == bindparam("id")).scalar_subquery().label("seen_generation"),
            *(column.label(f"{OF_MARK}{column.name}") for column in marks.c),
        )
        .select_from(t.execution.outerjoin(marks, true()))
        .where(*NAMED_EXECUTION)
        .with_for_update(of=t.execution)
    )


LOCK_AND_READ = _lock_and_read(_first_runs)
"""lock_execution, runs_of and marks in one, on PostgreSQL: see `Store.lock_execution`."""
LOCK_AND_READ_ALL = _lock_and_read(
    select(*READ_WITH_LOCK)
    .where(_mark.execution_id == bindparam("id"))
    .order_by(*t.mark.primary_key)
    .limit(bindparam("limit"))
    .subquery("any_run")
)
"""The same with as many marks as `limit`, of whatever run or item."""
_newest = t.mark.alias("newest")
RUNS_OF = select(*SMALL_MARK).where(
    _mark.execution_id == bindparam("execution_id"),
    _mark.node_id == bindparam("node_id"),
    _mark.item == WHOLE,
    or_(
        _mark.iteration == 1,
        _mark.iteration
        == func.coalesce(
            bindparam("iteration", type_=_mark.iteration.type),
            select(func.max(_newest.c.iteration))
            .where(_newest.c.execution_id == bindparam("execution_id"), _newest.c.node_id == bindparam("node_id"))
            .scalar_subquery(),
        ),
    ),
)
BACKLOG = (
    select(*SMALL_MARK)
    .where(_mark.execution_id == bindparam("execution_id"), _mark.place.is_not(None))
    .order_by(_mark.place)
    .limit(bindparam("limit"))
)
_saved = update(t.execution).where(_execution.id == bindparam("execution_id"))
_header = {name: bindparam(name, type_=_execution[name].type) for name in HEADER}
_header["updated_at"] = bindparam("now", type_=_execution.updated_at.type)
_end = _header | {name: bindparam(name, type_=_execution[name].type) for name in ("output", "finished_at")}
_is_current = _execution.generation == bindparam("before")
SAVE_HEADER, SAVE_END = _saved.where(_is_current).values(_header), _saved.where(_is_current).values(_end)
KEPT = {"execution_id", "node_id", "iteration", "item", "created_at"}  # never change once written
LEASE = (
    "claimed_by",
    "claim_key",
    "lease_expires_at",
    "progress",
    "sends",
    "unsent_since",
    "resend_at",
)  # the claim's, not the decision's
OF_HOLDER = ("claimed_by", "progress")
"""Columns of a mark that a claim and a heartbeat write without a decision, and an answer shows."""


RARE_OF_MARK = (
    "item", "info", "intent", "place", "retries", "ending", "unhandled", "last", "given", "item_counts", "fed", "loop",
    "hold", "holds", "strategy", "asks", "asleep", "due_at", "deadline_at", "alarm_at", "child_id", "failure",
    "context", "input", "published", "undone", "attempts",
)  # fmt: skip
RARE_OF_EVENT = ("item", "info", "late")
RARE_OF_HEADER = (
    "info", "cause", "asleep", "backlog", "held", "unhandled", "cancelled", "ignored", "reverted", "broken",
)  # fmt: skip
"""Columns that most marks and events leave at their defaults, and most decisions as they are.

A decision that does so throughout is *plain*: they are not sent.  Measured on PostgreSQL, for a completion: 7 % of the
instructions of the process less.
"""
SHARED_OF_MARK, SHARED_OF_EVENT = (
    {"execution_id": "execution_id", "created_at": "now"},
    {"execution_id": "execution_id"},
)
"""Columns that are the same in all rows of a decision, and the parameter that holds it."""


def save_marks(dialect: str, count: int, is_plain: bool = False, after: FromClause | None = None) -> Any:
    """Build the upsert of `count` marks.

    A result once stored stays where a later decision has none, while the task is reverted, or asked about; and a task
    stays on offer, or off it, unless this decision hands out another attempt or ends it: a claim may have come in
    between.  Nobody holds a new attempt, and what has ended shows who held it, but is leased no more.

    :param count: its parameters are those of as many rows
    :param is_plain: they leave what is rare at its defaults
    :param after: they are written if this has a row
    """
    columns = [column for column in t.mark.c if column.name not in LEASE]
    names = [column.name for column in columns]
    sent = [column for column in columns if not (is_plain and column.name in RARE_OF_MARK)]
    kind: Any = {"mysql": mysql_insert, "postgresql": postgresql_insert, "sqlite": sqlite_insert}[dialect]
    statement = _with_rows(kind(t.mark), sent, 1, count, SHARED_OF_MARK, after)
    new = statement.inserted if dialect == "mysql" else statement.excluded
    # MySQL assigns from left to right: what compares with the old state has to come before the state
    is_held = func.coalesce(_mark.intent, literal_column("''")) == literal_column(f"'{Intent.RETURN}'")
    goes_on = and_(new.state == _mark.state, new.attempt == _mark.attempt, not_(is_held))
    changes: dict[str, Any] = {"offered_at": case((goes_on, _mark.offered_at), else_=new.offered_at)}
    same_attempt = or_(new.attempt == _mark.attempt, _mark.attempt == literal_column("0"))
    was_final = or_(*(_mark.state == literal_column(f"'{state}'") for state in sorted(FINAL_TASK_STATES)))
    stands = or_(new.state == _mark.state, not_(was_final))
    is_kept = and_(same_attempt, new.outcome_digest.is_(None), stands)
    has_ended_before = sorted({*BACKWARD_TASK_STATES, TaskState.ASKING})
    is_undone = or_(*(new.state == literal_column(f"'{state}'") for state in has_ended_before))
    changes["outcome_digest"] = case((is_kept, _mark.outcome_digest), else_=new.outcome_digest)
    for name in ("result", "failure"):
        changes[name] = case((or_(is_kept, is_undone), _mark[name]), else_=new[name])
    for name in LEASE:
        changes[name] = case((same_attempt, _mark[name]), else_=None)
    is_held_out = or_(*(new.state == literal_column(f"'{state}'") for state in sorted(ATTEMPTED_TASK_STATES)))
    changes["lease_expires_at"] = case((and_(same_attempt, is_held_out), _mark.lease_expires_at), else_=None)
    for name in ("context", "input", "published", "child_id", "attempts"):
        changes[name] = func.coalesce(new[name], _mark[name])
    changes |= {name: new[name] for name in names if name not in KEPT and name not in changes}
    if dialect == "mysql":
        return statement.on_duplicate_key_update(list(changes.items()))
    return statement.on_conflict_do_update(index_elements=list(t.mark.primary_key), set_=changes)


def append_history(count: int, is_plain: bool = False, first: int = 1, after: FromClause | None = None) -> Any:
    """Build the insert of `count` rows of history, whose parameters are those of the rows from `first` on.

    :param is_plain: they leave what is rare at its defaults
    :param after: they are written if this has a row
    """
    sent = [column for column in t.history.c if not (is_plain and column.name in RARE_OF_EVENT)]
    return _with_rows(insert(t.history), sent, first, count, SHARED_OF_EVENT, after)


def save_decision(marks: int, events: int, ends: bool, is_plain: bool) -> Select[Any]:
    """Build all of it as one statement of PostgreSQL; the rows are those of the marks, then those of the history.

    It returns one row, with who holds the first run of the node `told`, and how far they say they are.  It may travel
    with a COMMIT, so that what is superseded must be an error: its generation becomes NULL, which the column is not.
    What was decided upon a guess says of which execution by `created_at`, which otherwise is NULL; nothing else is in
    its transaction, so it writes nothing then, and returns no row.
    Measured with `bench/put.py`: a third more completions a second than as three.
    """
    header = {
        name: value for name, value in (_end if ends else _header).items() if not is_plain or name not in RARE_OF_HEADER
    }
    generation = case((_is_current, header["generation"]))
    created_at = bindparam("created_at", type_=_execution.created_at.type)
    is_right = or_(created_at.is_(None), and_(_execution.created_at == created_at, _is_current))
    saved = _saved.where(is_right).values(header | {"generation": generation}).returning(_execution.id).cte("saved")
    noted = [append_history(events, is_plain, marks + 1, saved).cte("noted")] if events else []
    nobody: list[Any] = [null().label(name) for name in OF_HOLDER]
    if not marks:
        return select(*nobody).select_from(saved).add_cte(*noted)
    written = save_marks("postgresql", marks, is_plain, saved)
    run = written.returning(_mark.node_id, _mark.iteration, _mark.item, *(_mark[name] for name in OF_HOLDER)).cte("run")
    is_told = and_(run.c.node_id == bindparam("told"), run.c.iteration == 1, run.c.item == WHOLE)
    return select(*(run.c[name] for name in OF_HOLDER)).select_from(saved.outerjoin(run, is_told)).add_cte(*noted)


def _with_rows(
    statement: Any, columns: Sequence[Column[Any]], first: int, count: int, shared: Mapping[str, str],
    after: FromClause | None,
) -> Any:  # fmt: skip
    """Return an INSERT of rows, of which some columns are `shared` by all: the parameters that hold them."""
    numbers = range(first, first + count)
    if after is None:
        rows = [
            {
                column.name: bindparam(shared.get(column.name) or of_row(column.name, number), type_=column.type)
                for column in columns
            }
            for number in numbers
        ]
        return statement.values(rows)
    own = [column for column in columns if column.name not in shared]
    new = sql_values(*(sql_column(column.name, column.type) for column in own), name="new").data(
        [tuple(bindparam(of_row(column.name, number), type_=column.type) for column in own) for number in numbers]
    )
    found = (
        bindparam(shared[column.name], type_=column.type) if column.name in shared else new.c[column.name]
        for column in columns
    )  # fmt: skip
    return statement.from_select(
        [column.name for column in columns], select(*found).select_from(after.join(new, true())), include_defaults=False
    )
