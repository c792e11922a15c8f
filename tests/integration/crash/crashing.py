"""A process that dies at a chosen point of its work with the database."""

import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

MOST_POINTS = 400
Verb = Callable[[Engine], Any]


class Fuse:
    """Counts the points that a process passes and kills it at number `last`.

    The points are: before and after each statement (BEGIN too, where there is one) and before and after each COMMIT.
    """

    def __init__(self, database: Database, last: int, report: int) -> None:
        self.left, self.report = last, report
        engine = database.engine
        event.listen(engine, "before_cursor_execute", lambda *of: self.pass_by(f"before {of[2]}"))
        event.listen(engine, "after_cursor_execute", lambda *of: self.pass_by(f"after {of[2]}"))
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self.pass_by("before COMMIT")
            commit(connection)
            self.pass_by("after COMMIT")

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign]

    def pass_by(self, point: str) -> None:
        self.left -= 1
        if self.left == 0:
            os.write(self.report, " ".join(point.split())[:100].encode())
            os.kill(os.getpid(), signal.SIGKILL)


def crash(settings: Settings, verb: Verb, at: int) -> str | None:
    """Run `verb` in a process that dies at its `at`-th point; the name of the point, None if it lived to the end.

    The caller must have disposed of its own connections: the child is a fork of it.
    """
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process that may have threads
        pid = os.fork()
    if pid == 0:
        _run_and_exit(settings, verb, at, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return said
    assert os.waitstatus_to_exitcode(status) == 0, said
    return None


def _run_and_exit(settings: Settings, verb: Verb, at: int, report: int) -> None:
    code = 1
    try:
        database = Database(settings)
        Fuse(database, at, report)
        verb(Engine(database, settings))
        code = 0
    except BaseException:
        os.write(report, traceback.format_exc()[-3000:].encode())
    finally:
        os._exit(code)
