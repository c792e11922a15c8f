"""What a completion costs: the same statements however large the graph, at most nine, each by an index."""

from collections.abc import Iterator
from typing import Any

import pytest
from driving import OWNER, failure, start, success
from neighbours import add_neighbours, emptied
from observed import Statement, analyze, observed, whole_table_reads

from lazyengine.core.state import TaskState
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Report, TaskQuery
from lazyengine.settings import Settings

MOST = 9
SIZES = (20, 1_000, 100_000)
NEIGHBOURS = 3_000

# Completed in this order; `last` ends the execution although most of the graph was never reached.
VARIANTS: dict[str, Report] = {
    "plain chain": success("a1"),
    "several edges": success("s1"),
    "join not yet ready": success("j1"),
    "join fires": success("j2"),
    "join by number fires": success("n1"),
    "dead link to a join": success("d1"),
    "dead link ends the wait": success("d2"),
    "join fails": failure("e1"),
    "failure answered": failure("f1"),
    "no edges": success("a2"),
    "repeated task": success("r1"),
    "replayed": success("a1"),
}
LAST = "last task of all"
GRAPH: dict[str, Any] = {
    "a1": {"on-success": "a2"}, "a2": None,
    "s1": {"on-success": ["s2", "s3", "s4"]}, "s2": None, "s3": None, "s4": None,
    "j1": {"on-success": "j3"}, "j2": {"on-success": "j3"}, "j3": {"join": "all"},
    "n1": {"on-success": "n3"}, "n2": {"on-success": "n3"}, "n3": {"join": 1},
    "d1": {"on-success": "d3", "on-error": "d4"}, "d2": {"on-error": "d4"}, "d3": None,
    "d4": {"join": 2},
    "e1": {"on-success": "e3", "on-error": "noop"}, "e2": {"on-success": "e3"}, "e3": {"join": 2, "on-error": "noop"},
    "f1": {"on-error": "f2"}, "f2": None,
    "r1": {"on-success": "r3"}, "r2": {"on-success": "r3"}, "r3": None,
    "last": {"on-error": "x0"},
}  # fmt: skip


def graph_of(size: int) -> dict[str, Any]:
    """The graph of the variants with a tail behind `last` that brings it to about `size` tasks."""
    length = max(1, size - len(GRAPH))
    tail: dict[str, Any] = {f"x{n}": {"on-success": f"x{n + 1}"} for n in range(length - 1)}
    return GRAPH | tail | {f"x{length - 1}": None}


def run_variants(engine: Engine, size: int) -> dict[str, list[Statement]]:
    """Complete a whole execution and return the statements of each variant."""
    id = start(engine, graph_of(size)).execution.id
    found: dict[str, list[Statement]] = {}
    for name, report in VARIANTS.items():
        with observed(engine.database) as found[name]:
            engine.complete_task(OWNER, id, report)
    running = TaskQuery((TaskState.RUNNING,), limit=1000)
    while rest := [one for one in engine.list_tasks(OWNER, id, running).items if one.name != "last"]:
        engine.complete_tasks(OWNER, id, [success(one.name, iteration=one.iteration) for one in rest])
    with observed(engine.database) as found[LAST]:
        assert engine.complete_task(OWNER, id, success("last")).execution.state == "SUCCESS"
    return found


@pytest.fixture(scope="module")
def measured(database_url: str) -> Iterator[tuple[Database, dict[int, dict[str, list[Statement]]]]]:
    """The statements of every variant for every size, and the database as they left it."""
    settings = Settings(database_url=database_url)
    database = emptied(Database(settings))
    add_neighbours(database, NEIGHBOURS)
    engine = Engine(database, settings)
    found = {size: run_variants(engine, size) for size in SIZES}
    analyze(database)
    yield database, found
    database.dispose()


def test_statements_do_not_grow_with_the_graph(measured: Any) -> None:
    """Variant by variant the very same statements, whether the graph has twenty tasks or a hundred thousand."""
    _, found = measured
    small, *larger = (
        {name: [one.sql for one in statements] for name, statements in found[size].items()} for size in SIZES
    )
    assert {*VARIANTS, LAST} == set(small)
    for one in larger:
        assert one == small


def test_at_most_nine_statements(measured: Any) -> None:
    """In every variant, the last task of all included."""
    _, found = measured
    counts = {name: len(statements) for name, statements in found[SIZES[-1]].items()}
    print(counts)
    assert {name: count for name, count in counts.items() if count > MOST} == {}


def test_a_process_that_knows_the_graph_needs_few(measured: Any) -> None:
    """It locks and reads the execution, the task and the join behind it, and writes marks, history and header.

    PostgreSQL does each at once.
    """
    database, _ = measured
    engine = Engine(database, Settings(database_url=database.settings.database_url))
    id = start(engine, {"a": {"on-success": "b"}, "b": {"on-success": "c"}, "c": {"join": "all"}}).execution.id
    engine.complete_task(OWNER, id, success("a"))
    engine.get_task(OWNER, id, "c")  # the process has come across it, as in another execution
    with observed(database, knows_graph=True) as statements:
        engine.complete_task(OWNER, id, success("b"))
    assert len(statements) == (2 if database.dialect == "postgresql" else 6)


def test_each_statement_uses_an_index(measured: Any) -> None:
    """No plan reads a whole table, with a graph of 100,000 tasks and many other executions around."""
    database, found = measured
    seen = {statement.sql: statement for statements in found[SIZES[-1]].values() for statement in statements}
    allowed = {"Seq Scan on graph", "ALL on graph", "index on graph"}  # it has a handful of rows here
    reads = {
        sql: reads
        for sql, statement in seen.items()
        if (reads := set(whole_table_reads(database, statement)) - allowed)
    }
    assert reads == {}
    assert len(seen) >= (5 if database.dialect == "postgresql" else MOST)
