"""What a step inside a run costs: an item, a turn of a loop, a retry, a link to a join, however many there are."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from driving import OWNER, failure, started, success
from neighbours import add_neighbours, emptied
from observed import Statement, analyze, observed, whole_table_reads

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report
from lazyengine.settings import Settings

NEIGHBOURS = 3_000
SMALL_TABLES = {"Seq Scan on graph", "ALL on graph", "index on graph", "Seq Scan on node", "ALL on node"}

Prepared = tuple[str, Report]


def item(engine: Engine, size: int, concurrency: int = 0) -> Prepared:
    """One of so many items, in the middle of them."""
    spread = {"with-items": f"i in <% range(0, {size}) %>", "input": {"i": "<% $.i %>"}, "concurrency": concurrency}
    id = started(engine, {"a": spread})
    return id, success("a", 1, item=3)


def next_item(engine: Engine, size: int) -> Prepared:
    """One of so many items, which lets another one begin."""
    return item(engine, size, concurrency=5)


def turn(engine: Engine, turns: int) -> Prepared:
    """A turn of a loop after so many."""
    tasks = {"s": {"on-success": "a"}, "a": {"on-success": "b"}, "b": {"on-success": "a"}}
    id = started(engine, tasks)
    engine.complete_tasks(OWNER, id, [success("s"), *[success(name) for _ in range(turns) for name in "ab"]])
    return id, success("a")


def turn_with_join(engine: Engine, turns: int) -> Prepared:
    """A turn of a loop whose join runs, while one behind it waits, after so many."""
    tasks = {
        "s": {"on-success": ["a", "b"]},
        "a": {"on-success": "j"},
        "b": {"on-success": "j"},
        "j": {"join": "all", "on-success": ["a", "b"], "on-error": "k"},
        "z": {"on-success": "k"},
        "k": {"join": "all"},
    }
    id = started(engine, tasks)
    engine.complete_tasks(OWNER, id, [success("s"), *[success(name) for _ in range(turns) for name in "abj"]])
    engine.complete_task(OWNER, id, success("a"))
    return id, success("b")


def retry(engine: Engine, attempts: int) -> Prepared:
    """A failure that is tried again, after so many."""
    id = started(engine, {"a": {"retry": {"count": 1_000, "delay": 0}}})
    engine.complete_tasks(OWNER, id, [failure("a")] * attempts)
    return id, failure("a")


def link(engine: Engine, size: int, done: int = 1) -> Prepared:
    """A link to a join of so many, not the last."""
    names = [f"b{n}" for n in range(size)]
    tasks = {name: {"on-success": "j"} for name in names} | {"j": {"join": "all"}}
    id = started(engine, tasks)
    engine.complete_tasks(OWNER, id, [success(name) for name in names[:done]])
    return id, success(names[-1])


def last_link(engine: Engine, size: int) -> Prepared:
    """The last link to a join of so many."""
    return link(engine, size, size - 1)


STEPS: dict[Callable[[Engine, int], Prepared], tuple[int, ...]] = {
    item: (10, 1_000, 10_000),
    next_item: (10, 1_000, 10_000),
    turn: (2, 500),
    turn_with_join: (2, 300),
    retry: (2, 500),
    link: (10, 500),
    last_link: (10, 500),
}
MOST = {turn_with_join: 11}


@pytest.fixture(scope="module")
def crowded(database_url: str) -> Iterator[Engine]:
    """An engine with many other executions in its tables."""
    settings = Settings(database_url=database_url)
    database = emptied(Database(settings))
    add_neighbours(database, NEIGHBOURS)
    yield Engine(database, settings)
    database.dispose()


def statements_of(engine: Engine, prepared: Prepared) -> list[Statement]:
    id, report = prepared
    with observed(engine.database) as statements:
        engine.complete_task(OWNER, id, report)
    return statements


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_step_costs_the_same_however_many_there_are(crowded: Engine, step: Any) -> None:
    """The very same statements, at most nine, eleven where a loop has joins in it and behind it; each by an index."""
    found = [statements_of(crowded, step(crowded, size)) for size in STEPS[step]]
    sql = [[statement.sql for statement in statements] for statements in found]
    assert all(one == sql[0] for one in sql)
    print(step.__name__, len(sql[0]))
    assert len(sql[0]) <= MOST.get(step, 9)
    analyze(crowded.database)
    plans = {one.sql: set(whole_table_reads(crowded.database, one)) - SMALL_TABLES for one in found[-1]}
    assert {sql: reads for sql, reads in plans.items() if reads} == {}
