"""Items that executions do, and runs of them that end early, are tried again or are run again."""

from dataclasses import replace

import pytest
from driving import OWNER, Clock, cancellation, done, failure, started, success, task_states
from nesting import RUNNING, SUSPENDED, children, nest, states, steer

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Execution, Rerun
from lazyengine.settings import Settings

THREE = {"w": {"a": {"workflow": "v", "with-items": "i in [1, 2, 3]", "on-success": "z"}, "z": None}, "v": {"b": None}}
BESIDE = {**THREE, "w": {**THREE["w"], "y": None}}


class Slow(Engine):
    """An engine of small steps that leaves what is to be done to the outbox while it `dawdles`."""

    dawdles = True

    def carry_on(self, owner: str, execution_id: str, seconds: float = 20.0) -> None:
        if not self.dawdles:
            super().carry_on(owner, execution_id, seconds)

    def catch_up(self) -> None:
        self.dawdles = False
        self.carry_on_everywhere()


@pytest.fixture
def slow(database: Database, settings: Settings) -> Slow:
    return Slow(database, replace(settings, steps_per_transaction=1))


def below(engine: Engine, execution_id: str) -> list[Execution]:
    """Those that are under way and do the work of its items."""
    return [one for one in children(engine, execution_id) if one.state == "RUNNING"]


def test_one_step_a_transaction_starts_one_execution_after_the_other(slow: Slow) -> None:
    id = nest(slow, {"w": {"a": {"workflow": "v"}, "c": {"workflow": "v"}}, "v": {"b": None}})
    assert len(children(slow, id)) == 1
    slow.catch_up()
    assert len(children(slow, id)) == 2


def test_the_last_item_that_fails_is_answered_where_all_are_tried_again_at_once(engine: Engine) -> None:
    id = started(engine, {"a": {"with-items": "i in [1, 2]", "retry": {"count": 1, "delay": 0}}})
    engine.complete_task(OWNER, id, failure("a", item=0))
    answer = engine.complete_task(OWNER, id, failure("a", item=1))
    assert (answer.task.attempt, [(one.item, one.attempt) for one in answer.scheduled]) == (2, [(0, 2), (1, 2)])


def test_a_rerun_begins_once_the_items_of_the_attempt_before_have_left_the_backlog(slow: Slow) -> None:
    id = nest(slow, BESIDE)
    slow.complete_task(OWNER, below(slow, id)[0].id, cancellation("b"))
    slow.rerun_task(OWNER, id, Rerun("a"))
    slow.catch_up()
    for one in below(slow, id):
        done(slow, one.id, "b")
    done(slow, id, "y", "z")
    assert states(slow, id) == ["SUCCESS"]


def test_items_that_were_held_when_their_run_was_over_begin_if_it_is_run_again(slow: Slow) -> None:
    id = nest(slow, BESIDE)
    first = below(slow, id)[0]
    slow.complete_task(OWNER, first.id, cancellation("b"))
    slow.catch_up()
    assert len(children(slow, id)) == 1
    slow.rerun_task(OWNER, id, Rerun("a", reset=False))
    assert len(below(slow, id)) == 3


def test_and_if_it_is_taken_back(slow: Slow) -> None:
    id = nest(slow, BESIDE)
    first = below(slow, id)[0]
    slow.complete_task(OWNER, first.id, cancellation("b"))
    slow.catch_up()
    slow.rerun_task(OWNER, first.id, Rerun("b"))
    done(slow, first.id, "b")
    for one in below(slow, id):
        done(slow, one.id, "b")
    done(slow, id, "y", "z")
    assert states(slow, id) == ["SUCCESS"]


def test_a_run_that_is_taken_back_does_not_wait_for_what_ended_meanwhile(engine: Engine) -> None:
    id = nest(engine, BESIDE)
    one, two, three = children(engine, id)
    engine.complete_task(OWNER, one.id, cancellation("b"))
    done(engine, two.id, "b")
    engine.rerun_task(OWNER, one.id, Rerun("b"))
    done(engine, three.id, "b")
    done(engine, one.id, "b")
    assert task_states(engine, id) == {"a": "SUCCESS", "y": "RUNNING", "z": "RUNNING"}


def test_a_run_that_is_taken_back_knows_who_was_suspended_meanwhile(engine: Engine) -> None:
    id = nest(engine, {**THREE, "w": {**THREE["w"], "y": None}, "v": {"b": {"on-success": "c"}, "c": None}})
    one, two, three = children(engine, id)
    engine.complete_task(OWNER, one.id, cancellation("b"))
    for other in (two, three):
        steer(engine, other.id, SUSPENDED)
        done(engine, other.id, "b")
    engine.rerun_task(OWNER, one.id, Rerun("b"))
    steer(engine, one.id, SUSPENDED)
    done(engine, one.id, "b")
    done(engine, id, "y")
    assert states(engine, id, one.id, two.id, three.id) == ["SUSPENDED"] * 4
    steer(engine, id, RUNNING)
    for other in (one, two, three):
        done(engine, other.id, "c")
    done(engine, id, "z")
    assert states(engine, id) == ["SUCCESS"]


def test_a_rerun_of_failed_items_keeps_those_still_to_be_begun_anew(engine: Engine) -> None:
    id = started(engine, {"a": {"with-items": "i in [1, 2, 3, 4]", "concurrency": 1}, "y": None})
    for item in range(4):
        engine.complete_task(OWNER, id, failure("a", item=item) if item < 2 else success("a", item=item))
    engine.rerun_task(OWNER, id, Rerun("a", reset=False))
    engine.complete_task(OWNER, id, cancellation("a", item=0))
    engine.rerun_task(OWNER, id, Rerun("a", reset=False))
    answer = engine.complete_task(OWNER, id, success("a", item=0))
    assert [one.item for one in answer.scheduled] == [1]
    engine.complete_task(OWNER, id, success("a", item=1))
    assert task_states(engine, id) == {"a": "SUCCESS", "y": "RUNNING"}


def test_an_execution_that_runs_again_leaves_a_task_alone_that_was_skipped(engine: Engine) -> None:
    id = nest(engine, BESIDE)
    first = children(engine, id)[0]
    for one in children(engine, id):
        engine.complete_task(OWNER, one.id, failure("b"))
    engine.rerun_task(OWNER, id, Rerun("a", skip=True))
    engine.rerun_task(OWNER, first.id, Rerun("b"))
    assert engine.get_task(OWNER, id, "a", item=0).state == "FAILURE"


def test_an_attempt_with_fewer_items_knows_nothing_of_the_others(timed: Engine, clock: Clock) -> None:
    again = {"with-items": "i in <% $.l %>", "workflow": "v", "timeout": 10, "retry": {"count": 1, "delay": 5}}
    first = {"publish": {"global": {"l": [1]}}}
    id = nest(
        timed, {"w": {"tasks": {"a": again, "y": {"on-success": first}}, "vars": {"l": [1, 2]}}, "v": {"b": None}}
    )
    _, two = children(timed, id)
    done(timed, id, "y")
    clock.advance(11)
    timed.fire_due()
    clock.advance(6)
    timed.fire_due()
    done(timed, two.id, "b")
    task = timed.get_task(OWNER, id, "a")
    assert task.items is not None
    assert (task.attempt, task.items.total, task.items.done) == (2, 1, 0)


def test_an_execution_goes_on_with_the_one_that_it_stopped_with_though_its_task_is_over(
    timed: Engine, clock: Clock
) -> None:
    id = nest(
        timed, {"w": {"a": {"workflow": "v", "timeout": 10, "on-error": "z"}, "z": None}, "v": {"b": None, "c": None}}
    )
    below = children(timed, id)[0]
    done(timed, below.id, "c")
    steer(timed, below.id, SUSPENDED)
    assert states(timed, id, below.id) == ["SUSPENDING", "SUSPENDING"]
    clock.advance(11)
    timed.fire_due()
    steer(timed, below.id, RUNNING)
    assert task_states(timed, id) == {"a": "FAILURE", "z": "RUNNING"}
    assert states(timed, id) == ["RUNNING"]
