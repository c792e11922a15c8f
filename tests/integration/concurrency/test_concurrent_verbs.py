"""Many processes at one execution, one id, one queue: each thing happens once, and every answer is right."""

import random
from collections import Counter
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from crowd import at_once
from driving import (
    OWNER,
    cancellation,
    done,
    history,
    names,
    new_id,
    start,
    started,
    state_of,
    success,
    task_states,
    wish,
)  # fmt: skip

from lazyengine import errors
from lazyengine.core.state import ExecutionState, TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim, ExecutionQuery, TaskQuery
from lazyengine.settings import Settings

BRANCHES = 16


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, busy_timeout_seconds=30.0, threads=2)


def assert_numbered(database: Database, execution_id: str) -> None:
    rows = history(database, execution_id)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))


def test_a_fan_in_fires_once(database: Database, engine: Engine, settings: Settings) -> None:
    """16 processes complete each a branch, twice: the join is handed out by exactly one, the repeats say so again."""
    tasks: dict[str, Any] = {f"b{n}": {"on-success": "j"} for n in range(BRANCHES)}
    id = started(engine, tasks | {"j": {"join": "all"}})
    database.dispose()

    def work(engine: Engine, number: int) -> list[Any]:
        return [engine.complete_task(OWNER, id, success(f"b{number}", number)) for _ in range(2)]

    answers = at_once(settings, BRANCHES, work)
    assert [[one.replayed for one in pair] for pair in answers] == [[False, True]] * BRANCHES
    assert sorted(names(pair[0].scheduled) for pair in answers) == [[]] * (BRANCHES - 1) + [["j"]]
    assert all(pair[0].scheduled == pair[1].scheduled for pair in answers)
    starts = [row for row in history(database, id) if (row["node_id"], row["state"]) == (BRANCHES, "RUNNING")]
    assert len(starts) == 1
    assert_numbered(database, id)
    assert done(engine, id, "j").execution.state == "SUCCESS"


def test_the_same_completion_by_all(database: Database, engine: Engine, settings: Settings) -> None:
    """One answer is the first, all others are repeats of it with the same body."""
    id = started(engine, {"a": {"on-success": ["b", "c"]}, "b": None, "c": None})
    database.dispose()
    answers = at_once(settings, 8, lambda engine, _: engine.complete_task(OWNER, id, success("a", {"k": 1})))
    assert Counter(one.replayed for one in answers) == {False: 1, True: 7}
    assert (
        len({(one.task.finished_at, names(one.scheduled) == ["b", "c"], one.execution.state) for one in answers}) == 1
    )


def test_contradicting_completions(database: Database, engine: Engine, settings: Settings) -> None:
    """Of eight different outcomes one stands, and the other seven are refused."""
    id = started(engine, {"a": {"on-success": "b"}, "b": None})
    database.dispose()

    def work(engine: Engine, number: int) -> str:
        try:
            engine.complete_task(OWNER, id, success("a", number))
        except errors.TaskAlreadyCompleted:
            return "refused"
        return "taken"

    assert Counter(at_once(settings, 8, work)) == {"taken": 1, "refused": 7}
    assert names(done(engine, id, "b").scheduled) == []
    assert state_of(engine, id) == "SUCCESS"


@pytest.mark.parametrize("same", [True, False], ids=["same request", "other requests"])
def test_starts_with_the_same_id(database: Database, engine: Engine, settings: Settings, same: bool) -> None:
    """One is created; the same request by others is answered with it, another request is refused."""
    database.dispose()
    request = wish({"a": {"on-success": "b"}, "b": None}, id=new_id(), workflow={"description": new_id()})

    def work(engine: Engine, number: int) -> str:
        mine = request if same else replace(request, digest=f"request {number}")
        try:
            answer = engine.start_execution(OWNER, mine)
        except errors.ExecutionIdInUse:
            return "refused"
        assert names(answer.scheduled) == ["a"]
        return "created" if answer.created else "repeated"

    answers = Counter(at_once(settings, 8, work))
    assert answers == {"created": 1, "repeated" if same else "refused": 7}
    assert len(engine.list_executions(OWNER, ExecutionQuery()).items) == 1
    assert len(history(database, str(request.id))) == 2


def test_starts_of_a_new_definition(database: Database, engine: Engine, settings: Settings) -> None:
    """All processes are the first to see a definition: each starts its execution, the graph is stored once."""
    database.dispose()
    tasks = {f"t{n}": None for n in range(50)}
    ids = at_once(settings, 8, lambda engine, _: [started(engine, tasks) for _ in range(3)])
    assert len({id for some in ids for id in some}) == 24
    assert len(engine.list_executions(OWNER, ExecutionQuery()).items) == 24


def test_claims_by_many(database: Database, engine: Engine, settings: Settings) -> None:
    """200 tasks, 8 workers: each task is given to exactly one, and none is left."""
    for _ in range(4):
        started(engine, {f"t{n}": None for n in range(50)})
    database.dispose()

    def work(engine: Engine, number: int) -> list[tuple[str, str]]:
        mine: list[tuple[str, str]] = []
        empty = 0
        while empty < 5:
            got = engine.claim_tasks(OWNER, Claim(f"w{number}", limit=7))
            mine += [(one.execution_id, one.task) for one in got]
            empty = 0 if got else empty + 1
        return mine

    shares = at_once(settings, 8, work)
    taken = Counter(one for share in shares for one in share)
    assert set(taken.values()) == {1}
    assert len(taken) == 200
    assert engine.claim_tasks(OWNER, Claim("late", limit=10)) == ()
    assert {task.claimed_by for task in _running(engine)} <= {f"w{n}" for n in range(8)}


def _running(engine: Engine) -> list[Any]:
    query = TaskQuery((TaskState.RUNNING,), limit=1000)
    executions = engine.list_executions(OWNER, ExecutionQuery()).items
    return [task for one in executions for task in engine.list_tasks(OWNER, one.id, query).items]


def test_claims_and_completions_together(database: Database, engine: Engine, settings: Settings) -> None:
    """Workers that claim, complete and go on until all is over: every task is run once."""
    ids = [started(engine, _layers(4)) for _ in range(6)]
    database.dispose()

    def work(engine: Engine, number: int) -> list[tuple[str, str]]:
        mine: list[tuple[str, str]] = []
        while not all(state_of(engine, id) == "SUCCESS" for id in ids):
            for one in engine.claim_tasks(OWNER, Claim(f"w{number}", limit=3)):
                assert not engine.complete_task(OWNER, one.execution_id, success(one.task)).replayed
                mine.append((one.execution_id, one.task))
        return mine

    run = Counter(one for share in at_once(settings, 6, work) for one in share)
    assert set(run.values()) == {1}
    assert len(run) == len(ids) * len(_layers(4))
    for id in ids:
        assert_numbered(database, id)


def _layers(width: int) -> dict[str, Any]:
    """Three layers; each task of one leads to every task of the next, which are joins."""
    layers: dict[str, Any] = {f"a{n}": {"on-success": [f"b{m}" for m in range(width)]} for n in range(width)}
    layers |= {f"b{n}": {"join": "all", "on-success": "c"} for n in range(width)}
    return layers | {"c": {"join": "all"}}


def test_suspensions_in_between(database: Database, engine: Engine, settings: Settings) -> None:
    """While some suspend and resume all the time, others complete: in the end every execution is as it must be."""
    ids = [started(engine, _layers(3)) for _ in range(4)]
    database.dispose()

    def work(engine: Engine, number: int) -> None:
        if number % 2:
            for _ in range(10):
                for id in ids:
                    _wish(engine, id, random.choice((ExecutionState.SUSPENDED, ExecutionState.RUNNING)))
            return
        for task in [f"a{n}" for n in range(3)] * 2:
            for id in ids:
                engine.complete_task(OWNER, id, success(task))

    at_once(settings, 6, work)
    for id in ids:
        engine.update_execution(OWNER, id, state=ExecutionState.RUNNING)
        assert sorted(name for name, state in task_states(engine, id).items() if state == "RUNNING") == [
            "b0", "b1", "b2",
        ]  # fmt: skip
        assert done(engine, id, "b0", "b1", "b2", "c").execution.state == "SUCCESS"
        assert_numbered(database, id)
        started_once = Counter(row["node_id"] for row in history(database, id) if row["state"] == "RUNNING")
        assert {count for node, count in started_once.items() if node is not None} == {1}


def _wish(engine: Engine, id: str, state: ExecutionState) -> None:
    try:
        engine.update_execution(OWNER, id, state=state)
    except errors.ExecutionFinished:
        assert state_of(engine, id) in ("SUCCESS", "CANCELLED")


def test_one_cancels_while_others_complete(database: Database, engine: Engine, settings: Settings) -> None:
    """What comes after the cancellation is refused or a repeat; final is final; nothing stays on offer."""
    ids = [started(engine, _layers(4)) for _ in range(5)]
    database.dispose()

    def work(engine: Engine, number: int) -> None:
        for id in ids:
            try:
                if number == 0:
                    engine.update_execution(OWNER, id, state=ExecutionState.CANCELLED)
                else:
                    engine.complete_task(OWNER, id, success(f"a{number - 1}"))
            except errors.ExecutionFinished:
                assert number != 0

    at_once(settings, 5, work)
    for id in ids:
        assert state_of(engine, id) == "CANCELLED"
        ends = [row for row in history(database, id) if row["kind"] == "execution" and row["state"] != "RUNNING"]
        assert [row["state"] for row in ends] == ["CANCELLED"]
        assert_numbered(database, id)
    assert engine.claim_tasks(OWNER, Claim("w", limit=100)) == ()


def test_threads_of_one_process(database: Database, engine: Engine) -> None:
    """Threads share the pool of one Database: the same holds for them."""
    id = started(engine, {f"b{n}": {"on-success": "j"} for n in range(BRANCHES)} | {"j": {"join": "all"}})
    answers: list[Any] = []

    def work(number: int) -> None:
        answers.append(engine.complete_task(OWNER, id, success(f"b{number}")))

    threads = [Thread(target=work, args=(number,)) for number in range(BRANCHES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(one.scheduled) for one in answers) == [[]] * (BRANCHES - 1) + [["j"]]
    assert_numbered(database, id)


def test_many_cancelled_tasks(database: Database, engine: Engine, settings: Settings) -> None:
    """Every process gives up a task: the execution is cancelled once, by the last of them."""
    answer = start(engine, {f"t{n}": None for n in range(8)})
    id = answer.execution.id
    database.dispose()
    answers = at_once(settings, 8, lambda engine, n: engine.complete_task(OWNER, id, cancellation(f"t{n}")))
    assert Counter(one.execution.state.value for one in answers) == {"RUNNING": 7, "CANCELLED": 1}
    assert engine.get_execution(OWNER, id).info == "Tasks that were cancelled: 8"
