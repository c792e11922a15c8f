"""Many processes that do something with one database at the same moment."""

import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

Work = Callable[[Engine, int], Any]

_fork = multiprocessing.get_context("fork")


def at_once(settings: Settings, processes: int, work: Work) -> list[Any]:
    """Run `work` in that many processes, which all begin together; what each returned, in order.

    The caller must have disposed of its own connections: the processes are forks of it.
    """
    barrier, answers = _fork.Barrier(processes), _fork.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process that may have threads
        members = [
            _fork.Process(target=_run, args=(settings, number, work, barrier, answers)) for number in range(processes)
        ]
        for member in members:
            member.start()
    found = dict(answers.get() for _ in members)
    for member in members:
        member.join()
    faults = [answer for answer in found.values() if isinstance(answer, Fault)]
    assert not faults, faults[0].story
    return [found[number] for number in range(processes)]


class Fault:
    """What went wrong in a process."""

    def __init__(self, story: str) -> None:
        self.story = story


def _run(settings: Settings, number: int, work: Work, barrier: Any, answers: Any) -> None:
    answer: Any = None
    try:
        database = Database(settings)
        database.check_ready()
        barrier.wait(60)
        answer = work(Engine(database, settings), number)
    except BaseException:
        answer = Fault(f"process {number} ({os.getpid()}):\n{traceback.format_exc()}")
    answers.put((number, answer))
