"""Turns: one at a time for each execution, and nobody waits for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lazyengine.turns import Turns


def test_one_at_a_time_for_each_name_and_nothing_stays() -> None:
    turns, inside, most = Turns(), dict.fromkeys("ab", 0), dict.fromkeys("ab", 0)

    def work(name: str) -> None:
        with turns.turn(name, 60):
            inside[name] += 1
            most[name] = max(most[name], inside[name])
            time.sleep(0.001)
            inside[name] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, "ab" * 40))
    assert most == {"a": 1, "b": 1}
    assert turns._of == {}


def test_another_name_does_not_wait() -> None:
    turns = Turns()
    with turns.turn("a", 60), ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: turns.turn("b", 60).__enter__()).result(10)


def test_who_has_waited_long_enough_begins_all_the_same() -> None:
    """The one before may hang; the database has the last word."""
    turns, begun = Turns(), threading.Event()

    def work() -> None:
        with turns.turn("a", 0.01):
            begun.set()

    with turns.turn("a", 60), ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(10)
        assert begun.is_set()
    with turns.turn("a", 0.01):
        pass
    assert turns._of == {}


def test_a_turn_that_fails_is_over() -> None:
    turns = Turns()
    try:
        with turns.turn("a", 60):
            raise KeyError
    except KeyError:
        pass
    began = time.monotonic()
    with turns.turn("a", 60):
        assert time.monotonic() - began < 10
