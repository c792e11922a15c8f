"""A process that dies at a chosen point of its work with the database."""

import os
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from psycopg.pq import TransactionStatus
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from lazyengine.db import prepared
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

FULL = bool(os.environ.get("LAZYENGINE_TEST_FULL"))
MOST_POINTS = 400
Verb = Callable[[Engine], Any]
Maker = Callable[[Database, Settings], Engine]


class Fuse:
    """Counts the points that a process passes and kills it at number `last`.

    The points are: before each statement (BEGIN too, where there is one) and before and after each COMMIT.  Nothing but
    Python stands between the end of a statement and the next one; `LAZYENGINE_TEST_FULL=1` kills it there as well.
    """

    def __init__(self, last: int, only: str, report: int) -> None:
        self.left, self.only, self.report = last, only, report

    def watch(self, database: Database) -> None:
        engine = database.engine
        event.listen(engine, "before_cursor_execute", lambda *of: self.pass_by(f"before {of[2]}"))
        if FULL:
            event.listen(engine, "after_cursor_execute", lambda *of: self.pass_by(f"after {of[2]}"))
        around_commits(engine, lambda: self.pass_by("before COMMIT"), lambda: self.pass_by("after COMMIT"))

    def pass_by(self, point: str) -> None:
        self.left -= self.only in point
        if self.left == 0 and self.only in point:
            os.write(self.report, " ".join(point.split())[:100].encode())
            os.kill(os.getpid(), signal.SIGKILL)


def around_commits(
    engine: SqlEngine, before: Callable[[], None], after: Callable[[], None], put: Callable[..., None] = setattr
) -> None:
    """Call something before and after each COMMIT of an engine; one may travel in one message with other statements."""
    commit, run = engine.dialect.do_commit, prepared.Session._run

    def do_commit(connection: Any) -> None:
        if engine.dialect.driver == "psycopg" and connection.pgconn.transaction_status == TransactionStatus.IDLE:
            commit(connection)
        else:
            before()
            commit(connection)
            after()

    def run_and_commit(self: prepared.Session, *steps: prepared.Step, **more: Any) -> Any:
        if prepared.COMMIT not in steps and prepared.SYNC not in steps:
            return run(self, *steps, **more)
        before()
        results = run(self, *steps, **more)
        after()
        return results

    put(engine.dialect, "do_commit", do_commit)
    if engine.dialect.driver == "psycopg":
        put(prepared.Session, "_run", run_and_commit)


def crash(
    database: Database, settings: Settings, verb: Verb, at: int, only: str = "", made: Maker = Engine
) -> str | None:
    """Run `verb` in a process that dies at its `at`-th point; the name of the point, None if it lived to the end.

    The process is a fork of this one, which keeps no connection, so it begins with a warm engine and an empty pool.

    :param only: count only points whose name holds this
    :param made: makes the engine
    """
    database.engine.dispose()
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process that may have threads
        pid = os.fork()
    if pid == 0:
        _run_and_exit(database, lambda: verb(made(database, settings)), Fuse(at, only, write))
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return said
    assert os.waitstatus_to_exitcode(status) == 0, said
    return None


def _run_and_exit(database: Database, verb: Callable[[], Any], fuse: Fuse) -> None:
    code = 1
    try:
        database._pid = os.getpid()  # the pool came over empty, so nothing in it belongs to the parent
        fuse.watch(database)
        verb()
        code = 0
    except BaseException:
        os.write(fuse.report, traceback.format_exc()[-3000:].encode())
    finally:
        os._exit(code)
