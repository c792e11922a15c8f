"""Killed before every statement, before and after every COMMIT: a verb happened whole or not, and a repeat does it.

The state read back after each kill is compared, row by row, with the one before the verb and the one after it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crashing import MOST_POINTS, Maker, around_commits, crash
from driving import OWNER, failure, new_id, start, state_of, success
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.core.state import ExecutionState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Assignment, Report, Rerun
from lazyengine.settings import Settings

NOOP = {"action": "std.noop"}
GRAPH: dict[str, Any] = {
    "a": {"on-success": ["b", "c"]}, "b": {"on-success": "d"}, "c": {"on-success": "d"}, "d": {"join": "all"},
    "x": {"on-success": "y"}, "y": NOOP | {"on-success": "z"}, "z": None,
}  # fmt: skip
CHAIN: dict[str, Any] = {f"n{k}": NOOP | {"on-success": f"n{k + 1}"} for k in range(6)} | {"n6": NOOP}
TABLES = (t.execution, t.execution_tag, t.mark, t.history, t.outbox)
IDENTITIES = {"id", "execution_id", "graph_id", "definition_digest", "request_digest"}

State = list[Any]


@dataclass(frozen=True)
class Trial:
    """A verb, and what has to be so before it; both are given the id of the execution, which is new each time."""

    prepare: Callable[[Engine, str], Any]
    verb: Callable[[Engine, str], Any]
    end: str


def begin(engine: Engine, id: str, tasks: dict[str, Any] = GRAPH) -> Any:
    """Start an execution of a definition that nobody has stored before."""
    return start(engine, tasks, id=id, tags=("x", "y"), workflow={"description": id})


def steer(wished: ExecutionState) -> Callable[[Engine, str], Any]:
    return lambda engine, id: engine.update_execution(OWNER, id, state=wished)


def complete(*tasks: str) -> Callable[[Engine, str], Any]:
    return lambda engine, id: engine.complete_tasks(OWNER, id, [success(task, {"of": task}) for task in tasks])


def fail(*tasks: str) -> Callable[[Engine, str], Any]:
    return lambda engine, id: engine.complete_tasks(OWNER, id, [failure(task) for task in tasks])


def rerun(task: str, **how: Any) -> Callable[[Engine, str], Any]:
    def verb(engine: Engine, id: str) -> None:
        with suppress(errors.TaskNotFailed):  # a repetition finds it running
            engine.rerun_task(OWNER, id, Rerun(task, **how))

    return verb


def of(tasks: dict[str, Any]) -> Callable[[Engine, str], Any]:
    return lambda engine, id: begin(engine, id, tasks)


def report(*reports: Report) -> Callable[[Engine, str], Any]:
    return lambda engine, id: engine.complete_tasks(OWNER, id, reports)


def fail_first(engine: Engine, id: str) -> None:
    """Report a failure of the first attempt, unless another one has begun."""
    if engine.get_task(OWNER, id, "a").attempt == 1:
        engine.complete_task(OWNER, id, failure("a", attempt=1))


def tomorrow(engine: Engine, id: str) -> None:
    """Do what is due by then."""
    engine.clock = lambda: datetime.now(UTC) + timedelta(days=1)
    engine.fire_due()


def hold_for_a_minute(engine: Engine, id: str) -> None:
    """Give a task of this execution to a worker."""
    assert engine.hold_task(OWNER, Assignment(id, "a", 1, 1, None, "default", {}), "w1", 60)


def then(*actions: Callable[[Engine, str], Any]) -> Callable[[Engine, str], Any]:
    return lambda engine, id: [action(engine, id) for action in actions]


def nothing(engine: Engine, id: str) -> None:
    """Nothing has to be so before."""


SUSPEND, RESUME, CANCEL = (steer(ExecutionState[name]) for name in ("SUSPENDED", "RUNNING", "CANCELLED"))
ITEMS = of({"a": {"with-items": "i in [1, 2, 3, 4]", "concurrency": 2, "on-success": "b"}, "b": None})
LOOP = of({
    "s": NOOP | {"on-success": ["x", "y"]}, "x": {"on-success": "j"}, "y": {"on-success": "j"},
    "j": {"join": "all", "action": "std.noop", "on-success": ["x", "y"]},
})  # fmt: skip
ONE: dict[str, Any] = {"a": {"on-success": "b"}, "b": None}
TRIALS = {
    "start": Trial(nothing, begin, "RUNNING"),
    "complete": Trial(begin, complete("a"), "RUNNING"),
    "complete, a join fires": Trial(then(begin, complete("a", "b")), complete("c"), "RUNNING"),
    "complete, pure actions follow": Trial(begin, complete("x"), "RUNNING"),
    "complete the last task": Trial(then(begin, complete("a", "b", "c", "x", "z")), complete("d"), "SUCCESS"),
    "complete a batch": Trial(begin, complete("a", "x", "b"), "RUNNING"),
    "a lease runs out": Trial(then(of(ONE), hold_for_a_minute), tomorrow, "RUNNING"),
    "a lease runs out while suspending": Trial(then(of(ONE), hold_for_a_minute, SUSPEND), tomorrow, "SUSPENDED"),
    "a lease runs out that must not": Trial(
        then(of(ONE | {"a": {"safe-rerun": False, "on-error": "b"}}), hold_for_a_minute), tomorrow, "RUNNING"
    ),
    "suspend": Trial(begin, SUSPEND, "SUSPENDING"),
    "complete while suspending": Trial(then(begin, complete("x", "z"), SUSPEND), complete("a"), "SUSPENDED"),
    "resume": Trial(then(begin, SUSPEND, complete("a", "x")), RESUME, "RUNNING"),
    "cancel": Trial(then(begin, complete("a")), CANCEL, "CANCELLED"),
    "rerun": Trial(then(begin, fail("a"), CANCEL), rerun("a"), "RUNNING"),
    "rerun with a join to take back": Trial(
        then(begin, complete("a", "c", "x", "z"), fail("b")), rerun("b"), "RUNNING"
    ),
    "skip": Trial(then(begin, complete("a", "c", "x", "z"), fail("b")), rerun("b", skip=True), "RUNNING"),
    "an item ends, the next begins": Trial(ITEMS, report(success("a", 1, item=0)), "RUNNING"),
    "the last item ends": Trial(
        then(ITEMS, report(*(success("a", n, item=n) for n in range(3)))), report(success("a", 3, item=3)), "RUNNING"
    ),
    "a retry": Trial(of({"a": {"retry": {"count": 2, "delay": 0}}}), fail_first, "RUNNING"),
    "a turn of a loop": Trial(
        then(LOOP, report(success("x", iteration=1))), report(success("y", iteration=1)), "RUNNING"
    ),
    "an alarm": Trial(of({"a": {"wait-before": 5, "on-success": "b"}, "b": None}), tomorrow, "RUNNING"),
    "a deadline": Trial(of({"a": {"timeout": 5, "on-error": "b"}, "b": None}), tomorrow, "RUNNING"),
    "delete": Trial(then(begin, complete("a")), lambda e, id: e.delete_execution(OWNER, id, force=True), "gone"),
}


def state(database: Database, id: str) -> State:
    """Every row that there is of an execution, less what differs from one run to the next."""
    found: State = []
    with database.engine.connect() as connection:
        for table in TABLES:
            column = table.c.id if table is t.execution else table.c.execution_id
            rows = connection.execute(select(table).where(column == id).order_by(*table.primary_key))
            found.append([_masked(row._mapping) for row in rows])
    return found


def _masked(row: Any) -> dict[str, Any]:
    return {
        name: "a time" if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in IDENTITIES
    }


def stored_graphs(database: Database) -> tuple[int, int]:
    """How many graphs there are, and how many of them an execution runs."""
    with database.engine.connect() as connection:
        every = connection.execute(select(func.count()).select_from(t.graph)).scalar_one()
        used = connection.execute(select(func.count(func.distinct(t.execution.c.graph_id)))).scalar_one()
    return every, used


def run_to_every_point(
    database: Database, settings: Settings, trial: Trial, check: Callable[[str, str], None], only: str = "",
    made: Maker = Engine,
) -> list[str]:  # fmt: skip
    """Kill a process at the first point, then another one at the second, and so on until one lives; the points."""
    engine = made(database, settings)
    points: list[str] = []
    for at in range(1, MOST_POINTS):
        id = new_id()
        trial.prepare(engine, id)
        point = crash(database, settings, lambda engine, id=id: trial.verb(engine, id), at, only, made)
        if point is None:
            return points
        points.append(point)
        check(f"point {at}: {point}", id)
    raise AssertionError(f"it never came to an end: {points[-3:]}")


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_a_verb_happens_whole_or_not_at_all(database: Database, settings: Settings, trial: Trial) -> None:
    """At every point: the state is the one before or the one after; repeating the request leads to the one after."""
    happens_whole_or_not_at_all(database, settings, trial)


def happens_whole_or_not_at_all(database: Database, settings: Settings, trial: Trial, made: Maker = Engine) -> None:
    engine = made(database, settings)
    id = new_id()
    trial.prepare(engine, id)
    before = state(database, id)
    trial.verb(engine, id)
    after = state(database, id)
    assert before != after
    seen: list[bool] = []

    def check(where: str, id: str) -> None:
        found = state(database, id)
        assert found in (before, after), where
        seen.append(found == after)
        if not (trial.end == "gone" and found == after):
            trial.verb(engine, id)
        assert state(database, id) == after, where
        if trial.end != "gone":
            assert state_of(engine, id) == trial.end, where

    points = run_to_every_point(database, settings, trial, check, made=made)
    print(f"{database.dialect}: {len(points)} crash points")
    assert "before COMMIT" in points
    assert "after COMMIT" in points
    assert seen == [at > points.index("before COMMIT", _writes_at(points)) for at in range(len(points))]
    if trial.end != "gone":
        every, used = stored_graphs(database)
        assert every == used


def _writes_at(points: list[str]) -> int:
    """The index of the first statement that writes."""
    writes = ("before INSERT", "before UPDATE", "before DELETE", "before WITH saved")
    return next(at for at, point in enumerate(points) if point.startswith(writes))


@pytest.mark.backends("postgresql")
def test_what_is_decided_before_it_is_read_happens_whole_or_not_at_all(database: Database, settings: Settings) -> None:
    """The one statement of a process that remembers how it left the execution is its whole transaction."""
    other = Database(settings)  # what it remembers is its own
    engine, tasks = Engine(other, settings), {name: {"on-success": after} for name, after in ("ab", "bc", "cd")}
    tasks["d"] = {}
    stages = [("SUCCESS",) * n + ("RUNNING", "PENDING", "PENDING", "PENDING")[: 4 - n] for n in range(4)]

    def states(id: str) -> tuple[str, ...]:
        return tuple(engine.get_task(OWNER, id, task).state.value for task in tasks)

    def verb(engine: Engine) -> None:
        for task in tasks:
            complete(task)(engine, known)  # so that its connection is there and the nodes are known
        for task in "abc":  # the first two of which it reads
            complete(task)(engine, id)

    points: list[str] = []
    for at in range(1, MOST_POINTS):
        known, id = (start(engine, tasks).execution.id for _ in range(2))
        where = crash(database, settings, verb, at)
        if where is None:
            break
        points.append(where)
        assert states(id) in stages, where
        for task in "abc":
            complete(task)(engine, id)
        assert states(id) == stages[-1], where
    assert [point[:17] for point in points[-3:]] == ["before WITH saved", "before COMMIT", "after COMMIT"]
    assert not points[-4].startswith("before SELECT"), "nothing was read"
    other.dispose()


@pytest.mark.parametrize("repeat", ["the same request", "a sweep"])
def test_killed_between_the_transactions_of_a_chain(database: Database, settings: Settings, repeat: str) -> None:
    """A chain of pure actions, three a transaction: what is read back is one of its stages; a repeat finishes it."""
    settings = replace(settings, steps_per_transaction=3)
    engine = Engine(database, settings)
    stages: list[State] = [[[]] * len(TABLES)]
    id = new_id()
    other = Database(settings)
    with pytest.MonkeyPatch.context() as patch:
        noted = lambda: stages.append(state(other, id))  # noqa: E731
        around_commits(database.engine, lambda: None, noted, patch.setattr)
        begin(engine, id, CHAIN)
    stages = [stage for at, stage in enumerate(stages) if stage not in stages[:at]]
    other.dispose()
    assert len(stages) == 1 + 3
    seen: list[int] = []

    def check(where: str, id: str) -> None:
        found = state(database, id)
        assert found in stages, where
        seen.append(stages.index(found))
        if repeat == "the same request" or found == stages[0]:
            begin(engine, id, CHAIN)
        else:
            engine.carry_on_everywhere()
        assert state(database, id) == stages[-1], where
        assert state_of(engine, id) == "SUCCESS", where

    trial = Trial(nothing, lambda engine, id: begin(engine, id, CHAIN), "SUCCESS")
    only = "COMMIT" if repeat == "a sweep" or database.dialect == "mysql" else ""
    points = run_to_every_point(database, settings, trial, check, only)
    print(f"{database.dialect}: {len(points)} crash points, stages {sorted(set(seen))}")
    assert seen == sorted(seen)
    assert set(seen) == set(range(len(stages)))


def test_a_whole_execution_survives_a_death_at_each_step(database: Database, settings: Settings) -> None:
    """Every request of an execution dies once after its COMMIT and is repeated: the end is as if nothing had been."""
    engine = Engine(database, settings)
    clean, rough = new_id(), new_id()
    requests = [begin, *(complete(task) for task in "axbzcd")]
    for request in requests:
        request(engine, clean)
    for request in requests:
        assert crash(database, settings, lambda engine, request=request: request(engine, rough), 1, "after COMMIT")
        request(engine, rough)
    assert state(database, rough) == state(database, clean)
    assert state_of(engine, rough) == "SUCCESS"
