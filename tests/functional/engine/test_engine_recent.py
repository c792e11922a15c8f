"""What a process remembers of executions: it is what the database holds, it spares reading, and it never matters.

Two engines over one database stand for two processes.  Only PostgreSQL is decided upon so.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from driving import DIAMOND, OWNER, PAIR, cancellation, claim, done, failure, history, names, started, wish
from sqlalchemy import event, select

from lazyengine import errors
from lazyengine.core.state import WHOLE, ExecutionState
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.db.recent import ENOUGH_TRUST, MOST_RUNS_EACH, READ_AT_ONCE, Seen
from lazyengine.db.rows import header_of, run_of
from lazyengine.engine import Engine
from lazyengine.records import Heartbeat, Rerun
from lazyengine.settings import Settings

pytestmark = pytest.mark.backends("postgresql")

CLAUSES = ("on-success", "on-error", "on-complete")
LONG: dict[str, Any] = {f"t{n}": {"on-success": f"t{n + 1}"} if n < 19 else {} for n in range(20)}


@pytest.fixture
def other(settings: Settings) -> Iterator[Engine]:
    """Another process."""
    database = Database(settings)
    yield Engine(database, settings)
    database.dispose()


def statements_of(database: Database, call: Callable[[], object]) -> list[str]:
    """Return the first words of what is executed meanwhile."""
    heard: list[str] = []

    def listen(*given: Any) -> None:
        heard.append(given[2].split()[0])

    event.listen(database.engine, "before_cursor_execute", listen)
    try:
        call()
    finally:
        event.remove(database.engine, "before_cursor_execute", listen)
    return heard


def first_runs(database: Database, execution_id: str) -> dict[int, Any]:
    """Return the rows of the first runs of an execution, by node."""
    mark = t.mark.c
    where = (mark.execution_id == execution_id, mark.iteration == 1, mark.item == WHOLE)
    with database.engine.connect() as connection:
        return {row.node_id: row for row in connection.execute(select(t.mark).where(*where))}


def check(database: Database, execution_id: str) -> Seen | None:
    """Check that what is remembered of an execution is what the database holds, if it is not out of date."""
    seen = database.recent.get(execution_id)
    with database.engine.connect() as connection:
        row = connection.execute(select(t.execution).where(t.execution.c.id == execution_id)).one_or_none()
    if seen is None or row is None or row.generation != seen.header.generation:
        return None
    assert seen.header == header_of(row)
    held = first_runs(database, execution_id)
    assert {id for id, run in seen.runs.items() if run is None}.isdisjoint(held)
    for id, run in seen.runs.items():
        if run is not None:
            read = run_of(held[id])
            run.claimed_by, run.progress, run.lease_expires_at = read.claimed_by, read.progress, read.lease_expires_at
            assert run == read, "all but what a claim or a heartbeat writes, which an answer takes from the statement"
    assert not seen.is_complete or held.keys() <= seen.runs.keys()
    return seen


def test_a_completion_in_a_process_that_left_the_execution_is_one_statement(engine: Engine, database: Database) -> None:
    done(engine, started(engine, LONG), *LONG)  # so that it knows the nodes
    id = started(engine, LONG)
    for task in list(LONG)[:-1]:
        assert statements_of(database, lambda task=task: done(engine, id, task)) == ["WITH"]
        assert check(database, id)
    assert statements_of(database, lambda: done(engine, id, "t19")) == ["SELECT", "WITH"], "it reads what the output is"


def test_another_process_has_to_read_what_an_execution_is_and_how_it_stands_and_no_more(
    engine: Engine, other: Engine
) -> None:
    done(other, started(other, DIAMOND), *DIAMOND)  # so that it knows the nodes
    id = started(engine, DIAMOND)
    heard = [statements_of(other.database, lambda task=task: done(other, id, task)) for task in "abc"]
    assert heard[1:] == [["SELECT", "WITH"], ["WITH"]]
    assert names(done(other, id, "d").scheduled) == []


def test_what_another_process_decided_meanwhile_is_never_lost(engine: Engine, other: Engine) -> None:
    """Each guess of the one that comes second is wrong: it writes nothing, and what was read is decided upon."""
    id = started(engine, LONG)
    for n in range(0, 18, 2):
        assert names(done(engine, id, f"t{n}").scheduled) == [f"t{n + 1}"]
        assert names(done(other, id, f"t{n + 1}").scheduled) == [f"t{n + 2}"]
    numbers = [row["number"] for row in history(engine.database, id)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [row["generation"] for row in history(engine.database, id)][-1] == 19


def test_a_process_that_is_mostly_wrong_reads_and_one_that_would_be_right_again_does_not(
    engine: Engine, other: Engine, database: Database
) -> None:
    ids = [started(engine, LONG) for _ in range(3)]
    for id in ids[:2]:
        for n in range(0, 18, 2):
            done(engine, id, f"t{n}")
            done(other, id, f"t{n + 1}")
    assert not database.recent.is_trusted
    done(engine, ids[2], *(f"t{n}" for n in range(ENOUGH_TRUST + 2)))
    assert database.recent.is_trusted, "each time it has read, all was as it had left it"
    assert statements_of(database, lambda: done(engine, ids[2], f"t{ENOUGH_TRUST + 2}")) == ["WITH"]


def test_what_is_wrong_by_what_is_remembered_may_be_right(engine: Engine, other: Engine) -> None:
    """The task that another process handed out is not refused, nor is one answered from memory that is gone."""
    id = started(engine, PAIR)
    done(other, id, "a")
    assert done(engine, id, "b").execution.state is ExecutionState.SUCCESS
    id = started(engine, LONG)
    done(engine, id, "t0")
    other.delete_execution(OWNER, id, force=True)
    for task in ("t0", "t1", "t2"):  # ended, under way, not handed out
        with pytest.raises(errors.ExecutionNotFound):
            done(engine, id, task)


def test_an_execution_that_has_taken_the_id_of_another_is_another(engine: Engine, other: Engine) -> None:
    """Even where it is at the same generation."""
    id = started(engine, LONG)
    other.delete_execution(OWNER, id, force=True)
    other.start_execution(OWNER, wish({"t0": {"on-success": "other"}, "other": {"on-success": "t1"}, "t1": {}}, id=id))
    assert names(done(engine, id, "t0").scheduled) == ["other"]


def test_an_answer_says_who_held_the_task_and_how_far_it_was(engine: Engine, other: Engine) -> None:
    """That was written meanwhile, by a claim and a heartbeat of another process, without a decision."""
    id = started(engine, LONG)
    done(engine, id, "t0", "t1")
    assert claim(other, "w9") == ["t2"]
    other.heartbeat(OWNER, id, Heartbeat("t2", progress=0.75))
    task = done(engine, id, "t2").task
    assert (task.claimed_by, task.progress, task.lease_expires_at) == ("w9", 0.75, None)
    assert engine.get_task(OWNER, id, "t2").claimed_by == "w9"


def test_a_task_whose_end_has_to_read_is_not_guessed_at_twice(engine: Engine, database: Database) -> None:
    tasks = {"a": {"on-success": "b"}, "b": {"on-success": "c", "publish": {"x": "<% 1 %>"}}, "c": {}}
    for _ in range(2):
        done(engine, started(engine, tasks), "a", "b", "c")
    evaluated = {"a": {"on-success": "b"}, "b": {"input": {"x": "<% execution().id %>"}, "action": "do"}}
    ids = [started(engine, evaluated) for _ in range(3)]
    for id in ids[:2]:
        done(engine, id, "a")
    assert statements_of(database, lambda: done(engine, ids[2], "a"))[0] == "SELECT"


def test_an_execution_that_is_too_large_to_be_remembered_whole_is_in_part(engine: Engine, database: Database) -> None:
    """What is over is given up first, and the ends that are still known are guessed at."""
    count = MOST_RUNS_EACH + 5
    tasks = {f"s{n}": {"on-success": f"e{n}"} for n in range(count)} | {f"e{n}": {} for n in range(count)}
    id = started(engine, tasks)
    assert check(database, id) is None or not database.recent.get(id).is_complete  # type: ignore[union-attr]
    done(engine, id, *(f"s{n}" for n in range(10)))
    seen = check(database, id)
    assert seen is None or len(seen.runs) <= MOST_RUNS_EACH
    assert done(engine, id, "e3", "s11", "e11").execution.state is ExecutionState.RUNNING


def test_of_an_execution_with_many_runs_only_what_is_needed_is_read(engine: Engine, other: Engine) -> None:
    count = READ_AT_ONCE + 5
    tasks = {f"s{n}": {"on-success": "j"} for n in range(count)} | {"j": {"join": "all"}}
    id = started(engine, tasks)
    for n in range(count - 1):
        assert not done(other, id, f"s{n}").scheduled
        check(other.database, id)
    assert names(done(other, id, f"s{count - 1}").scheduled) == ["j"]


def random_tasks(draw: random.Random) -> dict[str, Any]:
    """Tasks of which each leads to later ones."""
    count = draw.randint(3, 8)
    tasks: dict[str, Any] = {}
    for n in range(count):
        task: dict[str, Any] = {}
        later = [f"t{k}" for k in range(n + 1, count)]
        for clause in CLAUSES:
            if later and draw.random() < 0.5:
                task[clause] = draw.sample(later, draw.randint(1, min(3, len(later))))
        led_to = {name for one in tasks.values() for clause in CLAUSES for name in one.get(clause, ())}
        if f"t{n}" in led_to and draw.random() < 0.4:
            task["join"] = draw.choice(["all", "one"])
        if draw.random() < 0.15:
            task["action"] = draw.choice(["std.noop", "std.fail"])
        if draw.random() < 0.1:
            task["retry"] = {"count": 1, "delay": 0}
        if draw.random() < 0.1:
            task["publish"] = {"x": 1}
        if draw.random() < 0.1:
            task["with-items"] = "i in [1, 2]"
        tasks[f"t{n}"] = task
    return tasks


def test_what_is_remembered_is_what_the_database_holds(engine: Engine, other: Engine) -> None:
    """Whatever two processes do to executions in any order: each is out of date, or remembers what is so."""
    known = sum(known_of_random_steps(engine, other, random.Random(seed)) for seed in range(25))
    assert known > 200, "so many times there was something to compare"


def known_of_random_steps(engine: Engine, other: Engine, draw: random.Random) -> int:
    """Do this and that to an execution; return how often a process was up to date, and right."""
    tasks = random_tasks(draw)
    for process in (engine, other):
        before = started(process, tasks)
        for task in tasks:  # so that both know the nodes
            with suppress(errors.LazyEngineError):
                done(process, before, task)
    id = started(engine, tasks)
    known = 0
    for _ in range(30):
        one = engine if draw.random() < 0.75 else other
        task = f"t{draw.randint(0, 7)}"
        with suppress(errors.LazyEngineError):
            match draw.choice(["end", "end", "end", "end", "fail", "cancel", "claim", "beat", "steer", "rerun"]):
                case "end":
                    done(one, id, task)
                case "fail":
                    one.complete_task(OWNER, id, failure(task))
                case "cancel":
                    one.complete_task(OWNER, id, cancellation(task))
                case "claim":
                    claim(one, limit=2)
                case "beat":
                    one.heartbeat(OWNER, id, Heartbeat(task, progress=0.5))
                case "rerun":
                    one.rerun_task(OWNER, id, Rerun(task))
                case _:
                    state = draw.choice([ExecutionState.SUSPENDED, ExecutionState.RUNNING])
                    one.update_execution(OWNER, id, state=state)
        known += sum(check(process.database, id) is not None for process in (engine, other))
    return known
