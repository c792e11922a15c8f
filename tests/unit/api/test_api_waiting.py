"""Waiting inside a request: until the answer will do, until the time is over, and never in too many threads."""

import dataclasses
import threading
import time

import pytest
from asked_engine import EXECUTION, ID
from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.api.waiting import STAY, Parked, Progress, Room, Stay, Waiting
from lazyengine.core.state import ExecutionState
from lazyengine.settings import Settings
from lazyengine.watching import Wanted

WANTED = Wanted("", ("default",), None)


@pytest.fixture
def waiting(asked):
    return Waiting(asked, 1)


def test_the_first_answer_that_will_do_ends_the_wait(waiting):
    answers = iter([0, 0, 1, 2])
    assert waiting.until(30, WANTED, lambda: next(answers), bool) == 1


def test_after_the_time_the_answer_is_what_there_is(waiting):
    began = time.monotonic()
    assert waiting.until(0.1, WANTED, lambda: 0, bool) == 0
    assert 0.1 <= time.monotonic() - began < 2


def test_without_a_time_it_is_asked_once(waiting):
    asked = []
    assert waiting.until(0, WANTED, lambda: asked.append(1), bool) is None
    assert asked == [1]


def test_who_finds_no_place_is_answered_at_once_and_a_place_is_given_back(waiting):
    go = threading.Event()
    waiter = threading.Thread(target=waiting.until, args=(30, WANTED, go.is_set, bool))
    waiter.start()
    time.sleep(0.05)
    began = time.monotonic()
    assert waiting.until(30, WANTED, lambda: 0, bool) == 0
    assert time.monotonic() - began < 1
    go.set()
    waiter.join()
    answers = iter([0, 1])
    assert waiting.until(30, WANTED, lambda: next(answers), bool) == 1
    assert len(waiting.room) == 0


def test_a_place_is_given_back_by_a_wait_that_fails(waiting):
    for _ in range(2):
        answers = iter([0])
        with pytest.raises(StopIteration):
            waiting.until(5, WANTED, lambda: next(answers), bool)  # noqa: B023
    assert len(waiting.room) == 0


# -- where requests can be parked -------------------------------------------------------------------------------------


@pytest.fixture
def stay():
    """A request of this thread that the server can park; `stay.wake` does nothing."""
    stay = Stay(lambda: None)
    token = STAY.set(stay)
    yield stay
    STAY.reset(token)


def test_a_request_is_parked_and_answered_at_the_next_run(waiting, stay):
    answers = iter([0, 0, 7])
    with pytest.raises(Parked):
        waiting.until(30, WANTED, lambda: next(answers), bool)
    assert len(waiting.room) == 1
    assert waiting.until(30, WANTED, lambda: next(answers), bool) == 7
    stay.leave()
    assert len(waiting.room) == 0


def test_what_comes_while_it_enters_is_not_missed(waiting, stay):
    answers = iter([0, 1])
    assert waiting.until(30, WANTED, lambda: next(answers), bool) == 1


def test_all_its_runs_together_last_no_longer_than_it_said(waiting, stay):
    with pytest.raises(Parked):
        waiting.until(0.05, WANTED, lambda: 0, bool)
    time.sleep(0.06)
    assert waiting.until(0.05, WANTED, lambda: 0, bool) == 0


def test_a_server_that_ends_gets_what_there_is(waiting, stay):
    stay.is_over = True
    assert waiting.until(30, WANTED, lambda: 0, bool) == 0


def test_no_more_are_called_than_there_are_tasks_and_those_who_wait_longest_first(asked):
    """Two tasks call two of five; both asked in vain, the third one that is there still calls the first again."""
    asked.count_offers = lambda wanted, most: offers
    room, called, offers = Room(asked), [], 0
    stays = [Stay(lambda n=n: called.append(n)) for n in range(5)]
    for stay in stays:
        room.enter(stay, WANTED)
    offers = 2
    room._look()
    room._look()  # they are on their way
    assert called == [0, 1]
    room.enter(stays[1], WANTED)
    room.leave(stays[0])
    offers = 1
    room._look()
    assert called == [0, 1, 1]


def test_executions_that_ended_went_on_or_are_gone_call(asked):
    room, called = Room(asked), []
    wishes = [Progress("ended"), Progress("runs"), Progress("runs", 4), Progress("runs", 5), Progress("gone")]
    for wish in wishes:
        room.enter(Stay(lambda wish=wish: called.append(wish)), wish)
    asked.standings = lambda ids: {"ended": (ExecutionState.SUCCESS, 2), "runs": (ExecutionState.RUNNING, 5)}
    room._look()
    assert set(called) == {Progress("ended"), Progress("runs", 4), Progress("gone")}


# -- in requests ------------------------------------------------------------------------------------------------------


def test_an_execution_is_waited_for_until_it_is_final(api, asked):
    states = iter([ExecutionState.RUNNING, ExecutionState.RUNNING, ExecutionState.SUCCESS])
    asked.answers["get_execution"] = lambda: dataclasses.replace(EXECUTION, state=next(states))
    assert api.get(f"/executions/{ID}?wait_seconds=30").json["state"] == "SUCCESS"


def test_a_claim_waits_for_a_first_task(api, asked):
    claims = iter([(), (), asked.answers["claim_tasks"]])
    asked.answers["claim_tasks"] = lambda: next(claims)
    assert len(api.post_json("/tasks/claim", {"worker": "w", "wait_seconds": 30}).json["tasks"]) == 1


def test_a_process_with_one_thread_never_waits(asked):
    api = TestApp(make_app(asked, Settings(threads=1)))
    api.get(f"/executions/{ID}?wait_seconds=30")
    assert len(asked.calls) == 1
