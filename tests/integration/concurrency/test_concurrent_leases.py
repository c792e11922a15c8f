"""Many processes that look after time at once, and workers that repeat a claim while the first is under way."""

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from crowd import at_once
from driving import OWNER, history, started

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim, Heartbeat
from lazyengine.settings import Settings

EXECUTIONS, TASKS = 10, 20


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, busy_timeout_seconds=60.0, threads=2)


def lapsed(database: Database, engine: Engine) -> list[str]:
    """Start 200 tasks that a worker holds who has not been heard of."""
    ids = [started(engine, {f"t{n}": None for n in range(TASKS)}) for _ in range(EXECUTIONS)]
    assert len(engine.claim_tasks(OWNER, Claim("w1", limit=1000, lease_seconds=0.001))) == EXECUTIONS * TASKS
    time.sleep(0.01)
    database.dispose()
    return ids


def test_each_lease_runs_out_once(database: Database, engine: Engine, settings: Settings) -> None:
    """Four processes fire what is due at once until nothing is: each of 200 tasks comes back exactly once."""
    ids = lapsed(database, engine)

    def work(engine: Engine, _: int) -> int:
        rounds = 0
        while engine.fire_due(limit=50):
            rounds += 1
        return rounds

    assert sum(at_once(settings, 4, work)) >= 4
    for id in ids:
        begun = Counter((row["node_id"], row["attempt"]) for row in history(database, id) if row["node_id"] is not None)
        assert begun == {(node, attempt): 1 for node in range(TASKS) for attempt in (1, 2)}
    again = engine.claim_tasks(OWNER, Claim("w2", limit=1000))
    assert Counter(one.attempt for one in again) == {2: EXECUTIONS * TASKS}
    assert engine.fire_due() == 0


def test_a_heartbeat_or_the_end_of_a_lease(database: Database, engine: Engine, settings: Settings) -> None:
    """Whoever is first: a heartbeat that was answered has kept the lease, one that was refused has not."""
    ids = lapsed(database, engine)

    def work(engine: Engine, number: int) -> Any:
        if number:
            while engine.fire_due(limit=50):
                pass
            return {}
        kept = {}
        for id in reversed(ids):
            for n in reversed(range(TASKS)):
                beat = Heartbeat(f"t{n}", attempt=1, lease_seconds=600)
                try:
                    kept[id, f"t{n}"] = engine.heartbeat(OWNER, id, beat).task.attempt
                except Exception as error:
                    kept[id, f"t{n}"] = type(error).__name__
        return kept

    kept, *_ = at_once(settings, 3, work)
    for (id, task), said in kept.items():
        assert engine.get_task(OWNER, id, task).attempt == (1 if said == 1 else 2), said
    assert set(kept.values()) <= {1, "TaskStaleAttempt"}


def test_a_claim_repeated_at_the_same_moment(database: Database, engine: Engine, settings: Settings) -> None:
    """Eight processes with one claim key get the same leases, though they ask at once."""
    started(engine, {f"t{n}": None for n in range(40)})
    for turn in range(5):
        database.dispose()
        claim = Claim("w", limit=4, key=f"k{turn}")
        answers = at_once(settings, 8, lambda engine, _, claim=claim: engine.claim_tasks(OWNER, claim))
        assert {frozenset((one.task, one.attempt) for one in got) for got in answers} == {
            frozenset((one.task, one.attempt) for one in answers[0])
        }
        assert len(answers[0]) == 4


def test_claims_at_the_same_moment_share_what_there_is(database: Database, engine: Engine, settings: Settings) -> None:
    """Nobody goes away empty while there is something left; nothing is given twice."""
    started(engine, {f"t{n}": None for n in range(40)})
    database.dispose()
    answers = at_once(settings, 8, lambda engine, number: engine.claim_tasks(OWNER, Claim(f"w{number}", limit=5)))
    got = Counter(one.task for some in answers for one in some)
    assert set(got.values()) == {1}
    assert [len(some) for some in answers] == [5] * 8
