"""Claims: who gets which task, once; what a repeat gives; what cannot be claimed."""

from datetime import timedelta

import pytest
from driving import OWNER, PAIR, STRANGER, Clock, claim, done, names, started

from lazyengine.core.state import ExecutionState
from lazyengine.db.claims import claim_tasks
from lazyengine.db.database import Database
from lazyengine.db.store import Store
from lazyengine.engine import Engine
from lazyengine.records import Claim

KINDS = {
    "a": {"action": "x.one", "target": "gpu"},
    "b": {"action": "x.two", "target": "gpu"},
    "c": {"action": "x.one"},
    "d": None,
    "e": {"target": "GPU"},
    "f": {"target": "gpu "},
}


def test_an_assignment_says_all(timed: Engine, clock: Clock) -> None:
    """A claimed task comes with its input and its lease, and shows who holds it until when."""
    id = started(timed, {"a": {"action": "x.y", "target": "gpu", "input": {"k": 1}}}, traceparent="00-" + "1" * 52)
    clock.advance(5)
    (one,) = timed.claim_tasks(OWNER, Claim("w1", ("gpu",), lease_seconds=7.5))
    until = clock.now + timedelta(seconds=7.5)
    assert (one.execution_id, one.task, one.iteration, one.attempt) == (id, "a", 1, 1)
    assert (one.action, one.target, one.input, one.traceparent) == ("x.y", "gpu", {"k": 1}, "00-" + "1" * 52)
    assert one.lease_expires_at == until
    task = timed.get_task(OWNER, id, "a")
    assert (task.state, task.claimed_by, task.lease_expires_at) == ("RUNNING", "w1", until)


@pytest.mark.parametrize(
    ("targets", "actions", "expected"),
    [
        (("default",), None, "cd"),
        (("gpu",), None, "ab"),
        (("GPU", "gpu "), None, "ef"),
        (("gpu", "default"), ("x.one",), "ac"),
        (("gpu",), ("x.two", "nope"), "b"),
        (("gpu",), (), ""),
        (("nope",), None, ""),
        ((), None, ""),
    ],
)
def test_only_what_is_asked_for(
    engine: Engine, targets: tuple[str, ...], actions: tuple[str, ...] | None, expected: str
) -> None:
    """Targets and actions are compared exactly; a task without an action fits no list of actions."""
    started(engine, KINDS)
    assert sorted(claim(engine, targets=targets, actions=actions)) == list(expected)


def test_no_task_is_given_twice(engine: Engine) -> None:
    """Claim after claim, at most `limit` at a time, until nothing is left."""
    started(engine, {f"t{n}": None for n in range(7)})
    batches = [claim(engine, f"w{n}", limit=3) for n in range(4)]
    assert [len(batch) for batch in batches] == [3, 3, 1, 0]
    assert sorted(name for batch in batches for name in batch) == [f"t{n}" for n in range(7)]


def test_a_claim_of_a_thousand(engine: Engine) -> None:
    """The largest claim of the API, in one go and in order."""
    started(engine, {f"t{n}": None for n in range(1_001)})
    assert sorted(claim(engine, limit=1_000, key="k")) == sorted(claim(engine, limit=1_000, key="k"))
    assert len(claim(engine, limit=1_000, key="k")) == 1_000
    assert len(claim(engine, limit=1_000)) == 1


def test_the_oldest_comes_first(timed: Engine, clock: Clock) -> None:
    """By the time at which a task was handed out, whatever execution it is of."""
    for name in ("first", "second", "third"):
        started(timed, {name: {"on-success": f"{name}-next"}, f"{name}-next": None})
        clock.advance(1)
    assert claim(timed, limit=1) == ["first"]
    assert claim(timed, limit=2) == ["second", "third"]


@pytest.mark.backends("postgresql", "mysql")
def test_two_at_the_same_moment_never_get_the_same(engine: Engine, database: Database) -> None:
    """A second claim while the first is not committed yet passes over what that one holds, and does not wait for it.

    MariaDB locks what it sorts, so the second may go away empty there; the third gets what is left.
    """
    started(engine, {f"t{n}": None for n in range(5)})
    inner: list[str] = []
    outer = Claim("w1", limit=3)

    def work(store: Store) -> list[str]:
        mine = names(claim_tasks(store, OWNER, outer, engine.clock()))
        inner.extend(claim(engine, "w2"))
        return mine

    mine = database.transaction(work)
    assert len(mine) == 3
    if database.dialect == "postgresql":
        assert len(inner) == 2
    assert sorted([*mine, *inner, *claim(engine, "w3")]) == [f"t{n}" for n in range(5)]


def test_a_repeat_with_the_same_key_gives_the_same_leases(timed: Engine, clock: Clock) -> None:
    """Nothing is claimed again and no lease is prolonged; another key gets what is left."""
    started(timed, {f"t{n}": None for n in range(5)})
    first = timed.claim_tasks(OWNER, Claim("w1", limit=2, key="k1"))
    clock.advance(10)
    assert timed.claim_tasks(OWNER, Claim("w1", limit=2, key="k1")) == first
    assert len(claim(timed, "w1", limit=2, key="k2")) == 2
    assert timed.claim_tasks(OWNER, Claim("w1", limit=5, key="k1")) == first


def test_a_key_is_the_workers_own(engine: Engine) -> None:
    """The same key of another worker, or of another owner, is another key."""
    started(engine, {f"t{n}": None for n in range(3)})
    started(engine, {"s": None}, owner=STRANGER)
    assert len(claim(engine, "w1", limit=1, key="k")) == 1
    assert len(claim(engine, "w2", limit=1, key="k")) == 1
    assert claim(engine, "w1", owner=STRANGER, key="k") == ["s"]
    assert len(claim(engine, "w1", key="k ", limit=1)) == 1


def test_a_repeat_leaves_out_what_has_ended(engine: Engine) -> None:
    """Of what a key took, only what is still to be done is given again, and nothing new."""
    id = started(engine, {f"t{n}": None for n in range(4)})
    taken = claim(engine, limit=2, key="k")
    done(engine, id, taken[0])
    assert claim(engine, limit=2, key="k") == taken[1:]
    done(engine, id, taken[1])
    assert claim(engine, limit=2, key="k") == []


def test_a_key_that_got_nothing_asks_anew(engine: Engine) -> None:
    """An empty answer took nothing, so a repeat may find something."""
    assert claim(engine, key="k") == []
    started(engine, PAIR)
    assert claim(engine, key="k") == ["a"]


def test_other_owners_tasks_cannot_be_claimed(engine: Engine) -> None:
    """However many of them are on offer before one's own."""
    for _ in range(3):
        started(engine, {"theirs": None}, owner=STRANGER)
    assert claim(engine) == []
    started(engine, {"mine": None})
    assert claim(engine, limit=1) == ["mine"]


def test_what_is_over_cannot_be_claimed(engine: Engine) -> None:
    """Tasks that ended without a claim, and those of executions that were cancelled or deleted."""
    id = started(engine, {"a": None, "b": None})
    done(engine, id, "a")
    assert claim(engine) == ["b"]
    engine.update_execution(OWNER, started(engine, PAIR), state=ExecutionState.CANCELLED)
    engine.delete_execution(OWNER, started(engine, PAIR), force=True)
    assert claim(engine) == []


def test_what_is_pending_cannot_be_claimed(engine: Engine) -> None:
    """A join that waits has a row already; only handing it out puts it on offer."""
    id = started(engine, {"a": {"on-success": "j"}, "b": {"on-success": "j"}, "j": {"join": "all"}})
    done(engine, id, "a")
    assert claim(engine) == ["b"]
    done(engine, id, "b")
    assert claim(engine) == ["j"]


def test_a_claimed_task_can_be_completed_by_anyone(engine: Engine) -> None:
    """The attempt is what counts, not who asked; the task goes on showing who held it."""
    id = started(engine, PAIR)
    claim(engine, "w1")
    task = done(engine, id, "a").task
    assert (task.state, task.claimed_by) == ("SUCCESS", "w1")
    assert claim(engine) == ["b"]
