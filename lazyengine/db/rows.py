"""Rows to values of the core and records, and back: the only place that knows both."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, astuple, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from lazyengine.core.context import EMPTY, Context
from lazyengine.core.graph import (
    NO_POLICY,
    AdHoc,
    Command,
    Decider,
    Depth,
    Edge,
    Graph,
    Kind,
    Loop,
    Node,
    On,
    Policy,
    Retry,
)
from lazyengine.core.state import (
    ATTEMPTED_TASK_STATES,
    BACKWARD_TASK_STATES,
    NOTHING_FED,
    WHOLE,
    Event,
    ExecutionState,
    Failure,
    Header,
    Intent,
    Items,
    LoopTally,
    Mark,
    Outcome,
    Strategy,
    TaskState,
)
from lazyengine.core.values import make
from lazyengine.db.recent import Run
from lazyengine.db.statements import RARE_OF_MARK
from lazyengine.encoder import encoder
from lazyengine.records import Execution, Identity, Notify, Parent, RunData, RunSummary, Task

NO_DATA = RunData()
_encode_sorted = encoder(sort_keys=True)
GRAPH = {field.name for field in fields(Graph)}

# -- graphs -----------------------------------------------------------------------------------------------------------


def graph_to_json(head: Graph) -> dict[str, Any]:
    return asdict(head)


def graph_from_json(value: dict[str, Any]) -> Graph:
    tuples = {name: tuple(value.get(name, ())) for name in ("roots", "required", "optional", "siblings", "tags")}
    return Graph(**{name: value[name] for name in GRAPH & value.keys()} | tuples)


def node_row(graph_id: int, node: Node) -> dict[str, Any]:
    """Only what differs from a plain node is written: most nodes of a large graph are plain."""
    body: dict[str, Any] = {
        "join": node.join,
        "indegree": node.indegree,
        "repeats": node.repeats,
        "edges": [[edge.on, edge.to, edge.guard, edge.message] for edge in node.edges],
        "heeds": list(node.heeds),
        "joins": sorted(node.joins),
        "beyond": dict(node.beyond),
        "loop": None if node.loop is None else [node.loop],
        "loop_facts": astuple(node.loop_facts) if node.loop_facts else None,
        "stray": not node.ends,
        "action": node.action,
        "workflow": node.workflow,
        "target": node.target,
        "input": node.input,
        "items": node.items,
        "adhoc": [asdict(action) for action in node.adhoc],
        "policy": None if node.policy == NO_POLICY else _policy_to_json(node.policy),
        "publish": node.publish,
        "spec": node.spec,
        "kind": None if node.kind is Kind.TASK else node.kind,
        "controllers": list(node.controllers),
        "region": None if node.region is None else [node.region],
        "deciders": [[list(decider.link), decider.depth] for decider in node.deciders],
    }
    body = {name: value for name, value in body.items() if value}
    is_gate = int(node.kind is Kind.GATE) or None
    return {"graph_id": graph_id, "id": node.id, "name": node.name, "body": body, "is_gate": is_gate}


def node_of(row: Row[Any]) -> Node:
    body = row.body
    return Node(
        id=row.id,
        name=row.name,
        join=body.get("join"),
        indegree=body.get("indegree", 0),
        repeats=body.get("repeats", False),
        edges=tuple(_edge(*edge) for edge in body.get("edges", ())),
        heeds=tuple(body.get("heeds", ())),
        joins=frozenset(body.get("joins", ())),
        beyond={int(target): tuple(lost) for target, lost in body.get("beyond", {}).items()},
        loop=body["loop"][0] if "loop" in body else None,
        loop_facts=_loop(*body["loop_facts"]) if "loop_facts" in body else None,
        ends=not body.get("stray", False),
        action=body.get("action"),
        workflow=body.get("workflow"),
        target=body.get("target", "default"),
        input=body.get("input", {}),
        items=body.get("items", {}),
        adhoc=tuple(AdHoc(**{**one, "required": tuple(one["required"])}) for one in body.get("adhoc", ())),
        policy=_policy(body["policy"]) if "policy" in body else NO_POLICY,
        publish=body.get("publish", {}),
        spec=body.get("spec", {}),
        kind=Kind(body.get("kind", Kind.TASK)),
        controllers=tuple(body.get("controllers", ())),
        region=body["region"][0] if "region" in body else None,
        deciders=tuple(Decider((link[0], link[1]), Depth(depth)) for link, depth in body.get("deciders", ())),
    )


def _policy_to_json(policy: Policy) -> dict[str, Any]:
    return {name: value for name, value in asdict(policy).items() if value != getattr(NO_POLICY, name)}


def _policy(value: dict[str, Any]) -> Policy:
    return Policy(**{**value, "retry": Retry(**value["retry"]) if "retry" in value else None})


def _loop(entries: int, joins: list[int], exits: list[list[int]]) -> Loop:
    return Loop(entries, tuple(joins), tuple((source, target) for source, target in exits))


def _edge(on: str, to: int | str, guard: str | None, message: str | None) -> Edge:
    return Edge(On(on), to if isinstance(to, int) else Command(to), guard, message)


# -- executions -------------------------------------------------------------------------------------------------------


def header_of(row: Row[Any]) -> Header:
    return Header(
        state=EXECUTION_STATES[row.state],
        live=row.live,
        asleep=row.asleep,
        backlog=row.backlog,
        held=row.held,
        unhandled=row.unhandled,
        cancelled=row.cancelled,
        ignored=row.ignored,
        reverted=row.reverted,
        broken=row.broken,
        info=row.info,
        cause=row.cause,
        generation=row.generation,
        events=row.events,
    )


def identity_of(row: Row[Any]) -> Identity:
    return Identity(
        id=row.id,
        owner=row.owner,
        graph_id=row.graph_id,
        workflow=row.workflow,
        definition_digest=row.definition_digest,
        namespace=row.namespace or "",
        params=row.params,
        parent=_parent_of(row),
        root_id=row.root_id or row.id,
        depth=row.depth,
        has_data=bool(row.has_data),
        traceparent=row.traceparent,
        created_at=row.created_at,
        flow=row.flow,
        notify=tuple(Notify(url, tuple(on)) for url, on in row.notify or ()),
    )


def _parent_of(row: Row[Any]) -> Parent | None:
    if row.parent_id is None:
        return None
    run = (row.parent_node, row.parent_iteration)
    key = run if row.parent_item is None else (*run, row.parent_item)
    return Parent(row.parent_id, row.parent_task, key, row.parent_attempt)


def parent_columns(parent: Parent | None) -> dict[str, Any]:
    if parent is None:
        return {}
    node, iteration, *item = parent.key
    return {
        "parent_id": parent.execution_id,
        "parent_task": parent.task,
        "parent_node": node,
        "parent_iteration": iteration,
        "parent_item": item[0] if item else None,
        "parent_attempt": parent.attempt,
    }


def execution_of(row: Row[Any]) -> Execution:
    large = row._mapping
    return Execution(
        id=row.id,
        workflow=row.workflow,
        definition_digest=row.definition_digest,
        state=ExecutionState(row.state),
        info=row.info,
        params=row.params,
        description=row.description,
        tags=tuple(row.tags),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        generation=row.generation,
        parent=_parent_of(row),
        root_execution_id=row.root_id or row.id,
        input=large.get("input"),
        output=large.get("output"),
    )


# -- marks ------------------------------------------------------------------------------------------------------------


TASK_STATES, EXECUTION_STATES = (
    dict(zip(TaskState, TaskState, strict=True)),
    dict(zip(ExecutionState, ExecutionState, strict=True)),
)
"""By their names: a tenth of what it takes to call the enumeration."""

_OF_MARK: tuple[tuple[str, str, Callable[[Any], Any] | None], ...] = (
    *((name, name, None) for name in (
        "iteration", "item", "info", "attempt", "live", "dead", "runs", "ended", "place", "told", "retries", "given",
        "hold", "asks", "asleep", "started_at", "due_at", "deadline_at", "finished_at", "finished_event",
    )),
    ("state", "state", TASK_STATES.__getitem__),
    ("ending", "ending", TASK_STATES.__getitem__),
    ("intent", "intent", Intent),
    ("strategy", "strategy", Strategy),
    ("unhandled", "unhandled", bool),
    ("last", "last", bool),
    ("chosen", "chosen", tuple),
    ("holds", "holds", tuple),
    ("loop", "loop", lambda tally: LoopTally(*tally)),
    ("fed", "fed", lambda fed: {int(source): iteration for source, iteration in fed.items()}),
    ("item_counts", "items", lambda counts: _items(*counts)),
)  # fmt: skip
"""The columns that a mark is read from, its fields, and what makes the one of the other."""


def mark_of(row: Row[Any] | Run) -> Mark:
    """What a row does not say is left to the defaults of `Mark`: most of it, mostly."""
    if isinstance(row, Run):
        return row.mark
    fields: dict[str, Any] = {"node": row.node_id, "fed": NOTHING_FED}
    for column, name, convert in _OF_MARK:
        value = getattr(row, column)
        if value is not None:
            fields[name] = value if convert is None else convert(value)
    return make(Mark, fields)


def run_of(row: Any) -> Run:
    """Return what is remembered of the first run of a node."""
    return Run(
        mark_of(row), row.action, row.target, row.child_id, row.outcome_digest, row.created_at, row.claimed_by,
        row.progress, row.lease_expires_at,
    )  # fmt: skip


def run_left(mark: Mark, row: dict[str, Any], before: Run | None, now: datetime) -> Run | None:
    """Return how a plain decision leaves the first run of a node; None: only the database knows.

    :param row: what is written of it (`mark_row`)
    :param before: it, as it was before; None: there was none
    """
    if before and (before.child_id or (before.outcome_digest and not row["outcome_digest"])):
        return None
    fields = vars(mark).copy()
    fields.pop("outcome", None)
    fields.pop("reported", None)
    created_at = before.created_at if before else now
    return Run(make(Mark, fields), row["action"], row["target"], None, row["outcome_digest"], created_at)


def summary_of(row: Any) -> RunSummary:
    items = _items(*row.item_counts) if row.item_counts else None
    return RunSummary(TaskState(row.state), row.iteration, row.action, items)


def _items(*counts: Any) -> Items:
    total, width, begun, done, failed, cancelled, *more = counts
    redo, held = (*more, (), 0)[:2] if len(more) != 1 else (*more, 0)
    return Items(total, width, begun, done, failed, cancelled, tuple(redo), held)


def context_to_json(context: Context) -> list[Any]:
    value: list[Any] = [dict(context.slots), dict(context.versions), dict(context.origins)]
    return [*value, context_to_json(context.before)] if context.before else value


def context_from_json(value: list[Any] | None) -> Context:
    if not value:
        return EMPTY
    slots, versions, origins, *before = value
    return Context(slots, versions, origins, context_from_json(before[0]) if before else None)


_PLAIN: dict[str, Any] = {
    field.name: {} if field.name == "fed" else field.default
    for field in fields(Mark)
    if field.name in RARE_OF_MARK or field.name == "items"
}
"""Of a mark: the fields of its rare columns, with their defaults."""


def is_plain(mark: Mark, data: RunData) -> bool:
    """Tell whether the rare columns of a mark have their defaults."""
    own = vars(mark)
    if any(own[name] != _PLAIN[name] for name in own.keys() & _PLAIN.keys()):
        return False
    outcome = mark.outcome
    if outcome and (outcome.failure or mark.state in BACKWARD_TASK_STATES):
        return False
    return data is NO_DATA


def mark_row(mark: Mark, node: Node, data: RunData, now: datetime, is_plain: bool = False) -> dict[str, Any]:
    """Return what is written of a mark, but for what all rows of a decision share.

    :param is_plain: without its rare columns
    """
    outcome = mark.outcome
    reported = mark.reported or outcome
    handed_out = mark.state in ATTEMPTED_TASK_STATES
    is_work = node.workflow is None and (mark.item != WHOLE or not node.items)
    offered = handed_out and is_work and mark.intent is not Intent.RETURN
    undone = outcome is not None and mark.state in BACKWARD_TASK_STATES
    row = {
        "node_id": mark.node,
        "iteration": mark.iteration,
        "state": mark.state,
        "attempt": mark.attempt,
        "live": mark.live,
        "dead": mark.dead,
        "runs": mark.runs,
        "ended": mark.ended,
        "chosen": list(mark.chosen) or None,
        "told": mark.told,
        "action": data.action or node.workflow or node.action,
        "target": data.target or node.target,
        "started_at": mark.started_at,
        "finished_at": mark.finished_at,
        "finished_event": mark.finished_event,
        "outcome_digest": outcome_digest(reported) if reported else None,
        "result": outcome.result if outcome and not undone else None,
        "offered_at": now if offered else None,
    }
    return row if is_plain else row | _rare_of(mark, data, undone)


def _rare_of(mark: Mark, data: RunData, undone: bool) -> dict[str, Any]:
    outcome = mark.outcome
    failure = asdict(outcome.failure) if outcome and outcome.failure else None
    return {
        "item": mark.item,
        "info": mark.info,
        "intent": mark.intent,
        "place": mark.place,
        "retries": mark.retries,
        "ending": mark.ending,
        "unhandled": int(mark.unhandled) or None,
        "last": int(mark.last) or None,
        "given": None if mark.given is None else dict(mark.given),
        "item_counts": astuple(mark.items) if mark.items else None,
        "asleep": mark.asleep or None,
        "fed": dict(mark.fed) or None,
        "loop": astuple(mark.loop) if mark.loop else None,
        "hold": mark.hold,
        "holds": list(mark.holds) or None,
        "strategy": mark.strategy,
        "asks": mark.asks,
        "due_at": mark.due_at,
        "deadline_at": mark.deadline_at,
        "alarm_at": mark.alarm_at,
        "child_id": data.child_id,
        "failure": None if undone else failure,
        "undone": [outcome.result, failure] if outcome and undone else None,
        "context": context_to_json(data.context) if data.context else None,
        "input": data.input,
        "published": data.published,
        "attempts": data.attempts,
    }


def task_of(
    execution_id: str,
    node: Node,
    mark: Mark,
    row: Row[Any] | Run | None = None,
    outcome: Outcome | None = None,
    data: RunData = NO_DATA,
    with_input: bool = True,
) -> Task:
    """Build a task from its node, its mark and what the row of the mark has beyond it (None: there is no row yet).

    The row may be older than the mark: nobody holds another attempt, and what has ended is leased no more.
    """
    holds = row is not None and row.attempt == mark.attempt
    return Task(
        execution_id=execution_id,
        node=node.id,
        name=node.name,
        iteration=mark.iteration,
        state=mark.state,
        info=mark.info,
        item=None if mark.item == WHOLE else mark.item,
        items=mark.items,
        due_at=mark.due_at,
        deadline_at=mark.deadline_at,
        child_execution_id=data.child_id or (row.child_id if row else None),
        action=None if node.workflow else _shown(data.action or (row.action if row else None) or node.action),
        target=data.target or (row.target if row else None) or node.target,
        attempt=mark.attempt,
        progress=row.progress if row and holds else None,
        claimed_by=row.claimed_by if row and holds else None,
        lease_expires_at=row.lease_expires_at if row and holds and mark.state in ATTEMPTED_TASK_STATES else None,
        created_at=row.created_at if row else mark.started_at,
        started_at=mark.started_at,
        finished_at=mark.finished_at,
        input=(data.input or (node.input if isinstance(node.input, dict) else {})) if with_input else None,
        published=data.published or {},
        result=outcome.result if outcome else None,
        failure=outcome.failure if outcome else None,
    )


def _shown(action: str | None) -> str | None:
    return None if action == "std.async_noop" else action


def outcome_of(row: Any) -> Outcome:
    return Outcome(TaskState(row.state), row.result, Failure(**row.failure) if row.failure else None)


def outcome_digest(outcome: Outcome) -> str:
    """Return what two outcomes have in common only if they are the same."""
    value = [outcome.state, outcome.result, asdict(outcome.failure) if outcome.failure else None]
    return hashlib.sha256(_encode_sorted(value).encode()).hexdigest()


# -- history ----------------------------------------------------------------------------------------------------------


def event_row(event: Event, is_plain: bool = False) -> dict[str, Any]:
    """Return what is written of an event, but for what all rows of a decision share.

    :param is_plain: without its rare columns
    """
    row: dict[str, Any] = {
        "number": event.number,
        "generation": event.generation,
        "at": event.at,
        "kind": event.kind,
        "state": event.state,
        "node_id": event.node,
        "iteration": event.iteration,
        "attempt": event.attempt,
    }
    if is_plain:
        return row
    return row | {"item": event.item, "info": event.info, "late": asdict(event.late) if event.late else None}


def is_plain_event(event: Event) -> bool:
    """Tell whether the rare columns of an event have their defaults."""
    return event.item is None and event.info is None and event.late is None
