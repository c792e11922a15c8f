"""Plans that PostgreSQL makes while a database is new, and keeps until it has counted the rows for the first time."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from driving import OWNER, started, success
from fresh_databases import fresh_database
from neighbours import add_neighbours, emptied
from observed import analyze, rows_read

from lazyengine.db.database import Database
from lazyengine.db.sending import take
from lazyengine.engine import Engine
from lazyengine.records import Claim
from lazyengine.settings import Settings

EXECUTIONS, TASKS_EACH = 2_000, 3
ROUNDS_BEFORE, ROUNDS = 12, 8
LARGE = 2_000
STATISTICS_SECONDS = 1.5
"""After so long, what a connection does next tells others of what it has read."""
TASKS = 2 * (ROUNDS_BEFORE + 1 + ROUNDS)
"""A plan is kept after five executions of a statement."""


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("by", ["claim", "dispatcher", "completion"])
def test_a_plan_made_for_empty_tables_stays_good(database_url: str, by: str) -> None:
    """Tasks are handed out or completed while there is next to nothing; the same statements read little of much."""
    settings = Settings(database_url=database_url)
    engine = Engine(emptied(Database(settings)), settings)
    analyze(engine.database)
    execution = started(engine, {f"t{n}": {"target": "mine", "action": "x.y"} for n in range(TASKS)})

    left = iter(range(TASKS))

    def two() -> int:
        if by == "claim":
            return len(engine.claim_tasks(OWNER, Claim("w", ("mine",), limit=2)))
        if by == "completion":
            for _ in range(2):
                engine.complete_task(OWNER, execution, success(f"t{next(left)}"))
            return 2
        now = engine.clock()
        return len(engine.database.transaction(lambda store: take(store, "mine", "d", 2, now, now)))

    def go_on(rounds: int) -> None:
        assert [two() for _ in range(rounds)] == [2] * rounds

    go_on(ROUNDS_BEFORE)
    add_neighbours(engine.database, EXECUTIONS, TASKS_EACH, target="done", state="SUCCESS", attempt=1)
    go_on(1)
    before = rows_read(engine.database)
    engine.database.kept.clear()
    go_on(ROUNDS)
    assert rows_read(engine.database) - before < ROUNDS * EXECUTIONS
    engine.database.dispose()


@pytest.fixture
def fresh(database_url: str, tmp_path: Path) -> Iterator[Database]:
    for database in fresh_database(database_url, tmp_path):
        database.upgrade()
        yield database


@pytest.mark.backends("postgresql")
def test_what_belongs_to_one_large_execution_is_not_read_whole(fresh: Database) -> None:
    """Nobody has told PostgreSQL that an owner, an execution or a graph may have thousands of rows."""
    engine = Engine(fresh, fresh.settings)
    execution = started(engine, {f"t{n}": {"on-success": f"t{n + 1}"} for n in range(LARGE)} | {f"t{LARGE}": {}})
    reports = iter([success(f"t{n}") for n in range(LARGE)])

    def go_on(number: int) -> int:
        for report in islice(reports, number):
            engine.complete_task(OWNER, execution, report)
        time.sleep(STATISTICS_SECONDS)
        engine.complete_task(OWNER, execution, next(reports))
        return rows_read(fresh)

    go_on(ROUNDS_BEFORE)
    engine.complete_tasks(OWNER, execution, list(islice(reports, LARGE // 2)))
    add_neighbours(fresh, EXECUTIONS)
    before = go_on(1)
    fresh.kept.clear()
    assert go_on(ROUNDS) - before < ROUNDS * LARGE / 10
