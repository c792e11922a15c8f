"""Waiting inside a request: until the answer will do, until the time is over, and never in too many threads."""

import dataclasses
import threading
import time

from asked_engine import EXECUTION, ID
from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.api.waiting import Waiting
from lazyengine.core.state import ExecutionState
from lazyengine.settings import Settings


def test_the_first_answer_that_will_do_ends_the_wait():
    answers = iter([0, 0, 1, 2])
    assert Waiting(1).until(30, lambda: next(answers), bool) == 1


def test_after_the_time_the_answer_is_what_there_is():
    began = time.monotonic()
    assert Waiting(1).until(0.1, lambda: 0, bool) == 0
    assert 0.1 <= time.monotonic() - began < 2


def test_without_a_time_it_is_asked_once():
    asked = []
    assert Waiting(1).until(0, lambda: asked.append(1), bool) is None
    assert asked == [1]


def test_who_finds_no_place_is_answered_at_once_and_a_place_is_given_back():
    waiting, go = Waiting(1), threading.Event()
    waiter = threading.Thread(target=waiting.until, args=(30, go.is_set, bool))
    waiter.start()
    time.sleep(0.05)
    began = time.monotonic()
    assert waiting.until(30, lambda: 0, bool) == 0
    assert time.monotonic() - began < 1
    go.set()
    waiter.join()
    answers = iter([0, 1])
    assert waiting.until(30, lambda: next(answers), bool) == 1


def test_a_place_is_given_back_by_a_wait_that_fails():
    waiting = Waiting(1)
    for _ in range(2):
        answers = iter([0])
        try:
            waiting.until(5, lambda: next(answers), bool)  # noqa: B023
        except StopIteration:
            continue
        raise AssertionError("did not wait")


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
