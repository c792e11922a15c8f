"""What nobody would notice any more: items after a rerun, questions of a cancelled flow, leases given while sending."""

from datetime import timedelta

import pytest
from driving import OWNER, Clock, cancellation, claim, done, started, state_of
from taskflow import task
from taskflow.patterns import graph_flow

from lazyengine.core.state import ExecutionState
from lazyengine.db.database import Database
from lazyengine.db.sending import give, take
from lazyengine.engine import Engine
from lazyengine.flows import Flows
from lazyengine.records import Claim, Heartbeat, Rerun
from lazyengine.settings import Settings


class Nothing(task.Task):
    def execute(self) -> None: ...


def decided() -> graph_flow.Flow:
    flow = graph_flow.Flow("decided")
    first, second, other = (Nothing(name) for name in "abz")
    flow.add(first, second, other)
    flow.link(first, second, decider=lambda history: True)
    return flow


def test_an_item_that_nobody_works_on_comes_back_after_a_rerun(timed: Engine, clock: Clock) -> None:
    """Its lease ended while its run was over, and a rerun of the others alone lets it go on."""
    id = started(timed, {"a": {"with-items": "i in [1, 2]", "action": "x"}, "z": {"action": "other"}})
    timed.claim_tasks(OWNER, Claim("w1", limit=10, actions=("x",), lease_seconds=10))
    timed.complete_task(OWNER, id, cancellation("a", item=0))
    clock.advance(20)
    timed.fire_due()
    timed.rerun_task(OWNER, id, Rerun("a", reset=False))
    timed.fire_due()
    found = timed.claim_tasks(OWNER, Claim("w2", limit=10, actions=("x",)))
    assert {(one.item, one.attempt > 1) for one in found} == {(0, True), (1, True)}


def test_a_question_of_a_cancelled_flow_is_asked_again(database: Database, settings: Settings, clock: Clock) -> None:
    engine = Engine(database, settings, clock, Flows({"decided": decided}, hands_out=True))
    id = engine.start_flow(OWNER, "decided", {}).execution.id
    done(engine, id, "a")
    engine.complete_task(OWNER, id, cancellation("z"))
    engine.update_execution(OWNER, id, state=ExecutionState.CANCELLED)
    engine.rerun_task(OWNER, id, Rerun("z"))
    assert (state_of(engine, id), sorted(claim(engine))) == ("RUNNING", ["b", "z"])


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_a_lease_that_was_asked_for_while_the_task_was_sent_stands(
    timed: Engine, database: Database, clock: Clock, seconds: float | None
) -> None:
    id = started(timed, {"a": {"target": "gpu"}})
    until = clock.now + timedelta(seconds=60)
    sent = database.transaction(lambda store: take(store, "gpu", "dispatch:x", 5, clock.now, until))
    timed.heartbeat(OWNER, id, Heartbeat("a", attempt=1, lease_seconds=3600))
    lease = None if seconds is None else clock.now + timedelta(seconds=seconds)
    database.transaction(lambda store: give(store.connection, sent, "dispatch:x", None, lease))
    found = timed.get_task(OWNER, id, "a")
    assert (found.lease_expires_at, found.claimed_by) == (clock.now + timedelta(seconds=3600), "")


def test_a_flow_that_is_not_known_here_stops_nobody(database: Database, settings: Settings, clock: Clock) -> None:
    """Its lease is left to those who know it; the other one runs out."""
    knowing = Engine(database, settings, clock, Flows({"decided": decided}, hands_out=True))
    knowing.start_flow(OWNER, "decided", {})
    id = started(knowing, {"a": {}})
    claim(knowing, "w1", lease_seconds=5)
    clock.advance(6)
    strange = Engine(database, settings, clock, Flows({}, hands_out=True))
    strange.fire_due()
    strange.carry_on_everywhere()
    assert strange.get_task(OWNER, id, "a").attempt == 2
