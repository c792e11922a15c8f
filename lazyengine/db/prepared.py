"""psycopg without its cursors: prepared statements over libpq itself (`psycopg.pq`), several in one message.

psycopg's adapters still convert what goes in and comes out, and its `Connection` still takes back and closes.
Seen in one run: 140 microseconds of CPU a statement through a `psycopg.RawCursor`, 50 through here, and 60 for each of
BEGIN and COMMIT that travels alone.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from select import POLLIN, POLLOUT, poll
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus

logger = logging.getLogger(__name__)

Step = tuple[str, Sequence[Any]]
"""A statement, and what travels as its parameters."""

BEGIN: Step = ("BEGIN", ())
COMMIT: Step = ("COMMIT", ())
ROLLBACK: Step = ("ROLLBACK", ())
SYNC: Step = ("", ())
"""No statement: what stands before it is a transaction of its own, unless one was begun."""

MOST_PREPARED = 100
"""Statements that the server keeps for one connection, each with its plan: up to a megabyte for one that saves much."""

PLANS = (
    "SELECT set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false)"
)
"""Every statement has its index, and the plan of a prepared one is kept: one that was made while a table was small must
not read the whole of it, until PostgreSQL counts its rows anew, a minute later or more.  Nor is a plan made for each
list of ids, which takes longer than to execute it."""

OUT_OF_DATE = "0A000"
"""SQLSTATE of a prepared statement whose columns have been changed; of much else, too."""


class PreparingConnection(psycopg.Connection[Any]):
    """A connection of psycopg whose statements may be prepared for good."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.session: Session | None = None

    def commit(self) -> None:
        """Commit, unless that has been done."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def rollback(self) -> None:
        """Take the transaction back, if there is one.

        psycopg would give up all prepared statements.  That is done only after an error of the database: what they were
        prepared for may have been changed.  A connection that was closed has taken its transaction back.
        """
        status = self.pgconn.transaction_status
        if self.closed or status == TransactionStatus.IDLE:
            return
        failed = status == TransactionStatus.INERROR
        if self.session and not failed:
            self.session.rollback()
        super().rollback()
        if self.session and failed:
            self.session.forget()


def session_of(driver: "psycopg.Connection[Any]") -> "Session":
    """Return what is kept of a connection; of one that is not ours, for one statement.

    :raises psycopg.ProgrammingError: it is in psycopg's pipeline mode
    """
    if not isinstance(driver, PreparingConnection):
        if driver.pgconn.pipeline_status != PipelineStatus.OFF:
            raise psycopg.ProgrammingError("the connection is in pipeline mode: leave it first")
        return Session(driver, prepares=False)
    if driver.session is None:
        driver.session = Session(driver, prepares=True)
    return driver.session


class Session:
    """A connection and what stays from one of its statements to the next.

    :ivar prepares: whether statements are prepared: not on a connection of psycopg's own, which gives up all of them
        as it takes a transaction back
    """

    def __init__(self, driver: "psycopg.Connection[Any]", prepares: bool) -> None:
        self._driver, self._libpq, self._prepares = driver, driver.pgconn, prepares
        self._transformer = Transformer(driver)
        self._names: dict[str, bytes] = {}  # what the server knows statements by; the last used is the last
        self._numbers = count()
        self._readable, self._ready = poll(), poll()
        self._readable.register(driver.fileno(), POLLIN)
        self._ready.register(driver.fileno(), POLLIN | POLLOUT)

    def cursor(self) -> "PreparedCursor":
        return PreparedCursor(self)

    def execute(self, text: str, given: Sequence[Any], prepares: bool = True) -> Any:
        """Execute a statement, in a transaction; return libpq's result.

        :param prepares: its text is one of few
        :raises psycopg.Error: as `psycopg.Cursor.execute` does
        """
        return self.execute_many(text, [given], prepares)

    def execute_many(self, text: str, rows: Sequence[Sequence[Any]], prepares: bool = True) -> Any:
        """Execute a statement for several rows, in one message; return the result of the last.

        Takes and raises what `execute` does.
        """
        steps = [self._step(text, given) for given in rows]
        if not self._driver.autocommit and self._libpq.transaction_status == TransactionStatus.IDLE:
            if (self._driver.isolation_level, self._driver.read_only, self._driver.deferrable) == (None, None, None):
                steps = [BEGIN, *steps]
            else:
                self._driver.execute("")  # psycopg begins before anything that it executes, and knows how
        return self._run(*steps, prepares=prepares)[-1]

    def commit(self, text: str, given: Sequence[Any], then: str | None = None, prepares: bool = True) -> Any:
        """Execute the last statement of a transaction, or its only one, and commit.  Returns and raises as `execute`.

        :param then: see `end`
        """
        step = self._step(text, given)
        if self._libpq.transaction_status == TransactionStatus.IDLE:
            return self._run(step, SYNC, *_then(then), needed=1, prepares=prepares)[0]
        return self._run(step, COMMIT, *_then(then), needed=2, prepares=prepares)[0]

    def end(self, then: str) -> None:
        """Commit.  Raises what `execute` does.

        :param then: a SELECT to be executed after that, in a transaction of its own; that it fails is no error
        """
        is_open = self._libpq.transaction_status != TransactionStatus.IDLE
        self._run(*([COMMIT] if is_open else []), *_then(then), needed=int(is_open))

    def rollback(self) -> None:
        """Take the transaction back, if there is one; where that fails, psycopg is left to say so."""
        if self._libpq.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with suppress(psycopg.Error):
                self._run(ROLLBACK)

    def forget(self) -> None:
        """Give up all prepared statements."""
        self._names.clear()
        self._libpq.exec_(b"DEALLOCATE ALL")

    def rows(self, result: Any) -> list[list[Any]]:
        """Return the rows of a result."""
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, list)

    def _step(self, text: str, given: Sequence[Any]) -> Step:
        """Values travel as text without a type: the statement says what they are, and `True` is no integer."""
        return text, self._transformer.dump_sequence(given, [PyFormat.TEXT] * len(given))

    def _run(self, *steps: Step, needed: int | None = None, prepares: bool = True) -> list[Any]:
        """Send statements at once, and return their results.

        :param needed: how many of them have to succeed
        """
        libpq, known = self._libpq, len(self._names)
        names = [self._name(text) for text, _ in steps if text] if prepares and self._prepares else None
        steps = (*steps, SYNC) if steps[-1] is not SYNC else steps
        try:
            libpq.enter_pipeline_mode()
            sent, syncs = iter(names or ()), 0
            for step in steps:
                text, params = step
                if step is SYNC:
                    libpq.pipeline_sync()
                    syncs += 1
                elif names:
                    libpq.send_query_prepared(next(sent), params)
                else:
                    libpq.send_query_params(text.encode(), params)
            results = self._results(syncs)
            libpq.exit_pipeline_mode()
        except BaseException:
            self._driver.close()  # nobody knows what the server has still to say
            raise
        for step, result in zip(steps[:needed], results, strict=False):
            if result.status == ExecStatus.FATAL_ERROR:
                error = psycopg.errors.error_from_result(result)
                if error.sqlstate == OUT_OF_DATE and len(self._names) == known:  # it was prepared before
                    error = psycopg.errors.InvalidSqlStatementName(str(error))
                if isinstance(error, psycopg.errors.InvalidSqlStatementName):
                    self._names.clear()  # all are prepared anew
                if libpq.transaction_status == TransactionStatus.IDLE:  # nobody will take it back
                    self.forget()
                raise error
            if step is COMMIT and result.command_status != b"COMMIT":
                raise psycopg.errors.InFailedSqlTransaction("what was to be committed had failed before")
        if needed is not None and results[-1].status == ExecStatus.FATAL_ERROR:
            logger.debug("after a commit: %s", results[-1].error_message)
        return results

    def _name(self, text: str) -> bytes:
        """Return what the server knows a statement by."""
        name = self._names.pop(text, None)
        if name is None:
            while len(self._names) >= MOST_PREPARED:
                oldest = self._names.pop(next(iter(self._names)))
                self._libpq.exec_(b"DEALLOCATE " + oldest)
            name = f"lazyengine_{next(self._numbers)}".encode()
            result = self._libpq.prepare(name, text.encode())
            if self._libpq.status != ConnStatus.OK:
                raise _gone()
            if result.status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
        self._names[text] = name
        return name

    def _results(self, syncs: int) -> list[Any]:
        """Read what has been sent for, up to the last of so many `SYNC`, and let other threads run meanwhile."""
        libpq = self._libpq
        found: list[Any] = []
        while libpq.flush():
            self._ready.poll()  # it may have to be read first, so that the server reads on
            libpq.consume_input()
        while True:
            while libpq.is_busy():
                self._readable.poll()
                libpq.consume_input()
            result = libpq.get_result()
            if result is None:
                if libpq.status != ConnStatus.OK:
                    raise _gone()
            elif result.status == ExecStatus.PIPELINE_SYNC:
                syncs -= 1
                if not syncs:
                    return found
            else:
                found.append(result)


def _gone() -> psycopg.OperationalError:
    return psycopg.OperationalError("the server has closed the connection")


def _then(then: str | None) -> list[Step]:
    return [] if then is None else [(then, ())]


class PreparedCursor:
    """As much of a cursor (PEP 249) as a statement needs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._result: Any = None

    def execute(
        self, text: str, given: Sequence[Any], commits: bool = False, then: str | None = None, prepares: bool = True
    ) -> None:
        """Takes and raises what `Session.execute` does.

        :param commits: it is the last of its transaction; see `Session.commit`
        """
        if commits:
            self._result = self._session.commit(text, given, then, prepares)
        else:
            self._result = self._session.execute(text, given, prepares)

    def executemany(self, text: str, rows: Sequence[Sequence[Any]], prepares: bool = True) -> None:
        """Takes and raises what `Session.execute_many` does."""
        self._result = self._session.execute_many(text, rows, prepares)

    @property
    def rowcount(self) -> int:
        return self._result.command_tuples or 0

    @property
    def description(self) -> list[tuple[str, int]]:
        """Of each column of the result: its name, the number of its type in PostgreSQL."""
        return [(self._result.fname(n).decode(), self._result.ftype(n)) for n in range(self._result.nfields)]

    def fetchall(self) -> list[list[Any]]:
        return self._session.rows(self._result)

    def close(self) -> None:
        self._result = None
