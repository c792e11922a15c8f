"""The statements of every completion, handed to the driver itself.

SQLAlchemy still builds and compiles them, and its types still convert what goes in and comes out; what is left out is
what `Connection.execute` does each time: the execution context, and a result that looks at the cursor's description.
Whoever listens to the cursors of an engine hears these statements too, with a context that has little to tell.
What PostgreSQL's driver is then, `lazyengine.db.prepared` says.
Seen on PostgreSQL, in one run: 250 microseconds of CPU a statement through `Connection.execute`, 90 through here
with psycopg's own cursors.
"""

from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Integer,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy import column as sql_column
from sqlalchemy.exc import DBAPIError

from lazyengine.db.types import IntegerList

Convert = Callable[[Any], Any]
Values = Mapping[str, Any]
K = TypeVar("K", int, str)


def of_row(name: str, number: int) -> str:
    """Return the name of the parameter that takes value `name` of row `number` (from 1) of a statement for several."""
    return f"{name}__{number}"


class Direct:
    """A statement that is compiled once for a dialect; no list of its values may vary in length."""

    def __init__(self, build: Callable[[str], Executable] | Executable) -> None:
        """
        :param build: the statement, or what returns it for the name of a dialect
        """
        self._build = build

    def rows(self, connection: Connection, values: Values, *rows: Values) -> list[Any]:
        """Execute a SELECT; return rows whose columns are attributes.

        :param rows: the values of its parameters that are named by `of_row`
        :raises sqlalchemy.exc.DBAPIError: as `Connection.execute` does
        """
        found: list[Any] = self._on(connection).execute(connection, (values, *rows), fetches=True)
        return found

    def first(self, connection: Connection, values: Values) -> Any:
        """Return the first row, or None.  Raises as `rows` does."""
        found = self.rows(connection, values)
        return found[0] if found else None

    def run(self, connection: Connection, values: Values, *rows: Values) -> int:
        """Execute a statement that writes; return how many rows it hit.  Takes and raises what `rows` does."""
        hit: int = self._on(connection).execute(connection, (values, *rows), fetches=False)
        return hit

    def rows_last(self, connection: Connection, values: Values, *rows: Values, then: str | None = None) -> list[Any]:
        """Execute the last statement of a transaction, or its only one, and commit, over psycopg.

        Takes, returns and raises what `rows` does.

        :param then: a SELECT to be executed after that; that it fails is no error
        """
        found: list[Any] = self._on(connection).execute(
            connection, (values, *rows), fetches=True, commits=True, then=then
        )
        return found

    def run_many(self, connection: Connection, values: Values, rows: Iterable[Values]) -> None:
        """Execute a statement for one row several times, if there are any rows.  Raises as `rows` does."""
        self._on(connection).execute_many(connection, values, rows)

    def _on(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        # kept with the dialect, so that it goes when its engine does
        kept: dict[Direct, _Compiled] = vars(dialect).setdefault("lazyengine_compiled", {})
        compiled = kept.get(self)
        if compiled is None:
            statement = self._build(dialect.name) if callable(self._build) else self._build
            compiled = kept[self] = _Compiled(statement, dialect)
        return compiled


LONGEST_LIST = 10_000
"""Keys in one statement; SQLite binds at most 32,766 values."""

MOST_WANTED = 64
"""Values of a list up to which a statement is compiled for it."""


def one_by_one(statement: Select[Any], column: ColumnElement[Any], wanted: BindParameter[Any]) -> Select[Any]:
    """Return on PostgreSQL the rows whose `column` is one of a list, each looked up in the index by its whole key.

    With `= ANY` PostgreSQL may read all that the rest of the key leads to and look at the column then: every mark of an
    execution, every node of a graph.  It does while it knows no large ones, and keeps the plan.
    """
    values = func.unnest(wanted).table_valued(sql_column("one", column.type), name="wanted").render_derived()
    # without an OFFSET the two SELECTs would become one, with a plan for both
    row = statement.where(column == values.c.one).offset(literal_column("0")).lateral("found")
    return select(*row.c).select_from(values.join(row, true()))


class DirectList:
    """A SELECT of the rows whose `column` is one of a list of values.

    PostgreSQL takes the list as one value (`one_by_one`).  Elsewhere it is compiled for lists of 1, 2, 4, ... values,
    and the last of a list is repeated; a long list goes SQLAlchemy's own way.
    """

    def __init__(self, statement: Select[Any], column: Any) -> None:
        wanted = bindparam("wanted", type_=IntegerList() if isinstance(column.type, Integer) else ARRAY(Text))
        self._whole = Direct(lambda _: one_by_one(statement, column, wanted))
        self._long = statement.where(column.in_(bindparam("wanted", expanding=True)))
        sizes = [1 << power for power in range(MOST_WANTED.bit_length())]
        self._short = {
            size: Direct(
                statement.where(
                    column.in_([bindparam(of_row("one", n), type_=column.type) for n in range(1, size + 1)])
                )
            )
            for size in sizes
        }

    def rows(self, connection: Connection, values: Values, wanted: Collection[Any]) -> Iterator[Any]:
        """Execute it for a list of any length, none too.  Raises as `Direct.rows` does."""
        for batch in batches(wanted):
            yield from self._rows(connection, values, batch)

    def _rows(self, connection: Connection, values: Values, wanted: Sequence[Any]) -> Sequence[Any]:
        if connection.dialect.driver == "psycopg":
            return self._whole.rows(connection, {**values, "wanted": wanted})
        if len(wanted) > MOST_WANTED:
            return connection.execute(self._long, {**values, "wanted": wanted}).all()
        size = 1 << (len(wanted) - 1).bit_length()
        padded = [*wanted, *[wanted[-1]] * (size - len(wanted))]
        return self._short[size].rows(connection, values, *({"one": one} for one in padded))


def batches(keys: Iterable[K]) -> Iterator[list[K]]:
    """Cut keys into lists short enough for one statement."""
    ordered = sorted(keys)
    for start in range(0, len(ordered), LONGEST_LIST):
        yield ordered[start : start + LONGEST_LIST]


class _Reader:
    """Reads values out of several rows: those of each in one go, and then in the order in which they are wanted.

    :param places: in which row each is found, and under which name
    """

    def __init__(self, places: Sequence[tuple[int, str]]) -> None:
        names: dict[int, list[str]] = {}
        for row, name in places:
            if name not in names.setdefault(row, []):
                names[row].append(name)
        self._reads = [(row, _getter(of_row)) for row, of_row in names.items()]
        found = [(row, name) for row, of_row in names.items() for name in of_row]
        self._order = _getter([found.index(place) for place in places])

    def __call__(self, rows: Sequence[Values]) -> list[Any]:
        found: list[Any] = []
        for row, read in self._reads:
            found += read(rows[row])
        return list(self._order(found))


def _getter(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda of: [of[key] for key in keys]


class _Compiled:
    def __init__(self, statement: Any, dialect: Dialect) -> None:
        self._is_psycopg = dialect.driver == "psycopg"
        # psycopg would look for its own placeholders in a long text each time
        kind: Any = type(dialect)
        written_for = kind(paramstyle="numeric_dollar") if self._is_psycopg else dialect
        compiled = statement.compile(dialect=written_for)
        self._text = str(compiled)
        self._constants = {name: bind.value for bind, name in compiled.bind_names.items() if bind.value is not None}
        self._is_positional = compiled.positiontup is not None
        self._names: list[str] = compiled.positiontup or list(compiled.bind_names.values())
        converts = {
            name: _convert(bind.type, dialect, "bind_processor", dialect) for bind, name in compiled.bind_names.items()
        }
        places = [self._place(name) for name in self._names]
        self._read = _Reader(places)
        self._converts = [(at, convert) for at, name in enumerate(self._names) if (convert := converts[name])]
        self._columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        names = [column.name for column in self._columns]
        row: Any = namedtuple("Row", names)  # type: ignore[misc]
        self._row = row._make
        self._loads: list[tuple[int, Convert]] | None = None

    def _place(self, name: str) -> tuple[int, str]:
        """Return in which row of the values that are given a parameter is found, and under which name."""
        if name in self._constants:
            return -1, name
        base, _, number = name.partition("__")
        return int(number or 0), base

    def execute(
        self, connection: Connection, rows: Sequence[Values], fetches: bool, commits: bool = False,
        then: str | None = None,
    ) -> Any:  # fmt: skip
        given = self._given((*rows, self._constants))
        cursor = self._executed(connection, given, many=False, **({"commits": True, "then": then} if commits else {}))
        try:
            return self._fetched(cursor, connection.dialect) if fetches else cursor.rowcount
        finally:
            cursor.close()

    def execute_many(self, connection: Connection, values: Values, rows: Iterable[Values]) -> None:
        given = [self._given((values, row, self._constants)) for row in rows]
        if given:
            self._executed(connection, given, many=True).close()

    def _given(self, rows: Sequence[Values]) -> Any:
        given = self._read(rows)
        for at, convert in self._converts:
            if given[at] is not None:
                given[at] = convert(given[at])
        return tuple(given) if self._is_positional else dict(zip(self._names, given, strict=True))

    def _executed(self, connection: Connection, given: Any, many: bool, **how: Any) -> Any:
        """Return the cursor of the statement once it was executed.

        :param how: more arguments of `PreparedCursor.execute`
        """
        if not connection.in_transaction():
            connection.begin()  # as `Connection.execute` does
        cursor = _session(connection).cursor() if self._is_psycopg else connection.connection.cursor()
        try:
            if connection._has_events or connection.engine._has_events:  # as SQLAlchemy asks it
                self._execute_aloud(connection, cursor, given, many, how)
            else:
                (cursor.executemany if many else cursor.execute)(self._text, given, **how)
        except BaseException as error:
            cursor.close()
            if isinstance(error, connection.dialect.loaded_dbapi.Error):
                raise _translated(error, connection, cursor, self._text, given) from error
            raise
        return cursor

    def _execute_aloud(self, connection: Connection, cursor: Any, given: Any, many: bool, how: dict[str, Any]) -> None:
        """Execute it, and tell those who listen to cursors before and after."""
        text, context = self._text, _context(connection, cursor, self._text, many)
        for listen in connection.dispatch.before_cursor_execute:
            text, given = listen(connection, cursor, text, given, context, many)
        if self._is_psycopg and text is not self._text:
            how["prepares"] = False  # a listener has put something into it: it may be another one each time
        (cursor.executemany if many else cursor.execute)(text, given, **how)
        for listen in connection.dispatch.after_cursor_execute:
            listen(connection, cursor, text, given, context, many)

    def _fetched(self, cursor: Any, dialect: Dialect) -> list[Any]:
        if self._loads is None:  # the types ask for the driver's own, which stand beside the first result
            described = zip(self._columns, cursor.description, strict=True)
            loads = (_convert(column.type, dialect, "result_processor", dialect, at[1]) for column, at in described)
            self._loads = [(place, load) for place, load in enumerate(loads) if load is not None]
        rows = []
        for row in cursor.fetchall():
            values = list(row)
            for place, load in self._loads:
                if values[place] is not None:
                    values[place] = load(values[place])
            rows.append(self._row(values))
        return rows


def _context(connection: Connection, cursor: Any, text: str, many: bool) -> SimpleNamespace:
    """Return what listeners may read of an execution, and keep what they like in."""
    options = connection.get_execution_options()
    return SimpleNamespace(
        dialect=connection.dialect, root_connection=connection, cursor=cursor, statement=text, executemany=many,
        execution_options=options, compiled=None, isinsert=False, isupdate=False, isdelete=False,
    )  # fmt: skip


def commit(connection: Connection, then: str) -> None:
    """Commit, over psycopg.

    :param then: a SELECT to be executed after that; that it fails is no error
    :raises sqlalchemy.exc.DBAPIError: as `Connection.commit` does
    """
    session = _session(connection)
    try:
        session.end(then)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, connection, None, "COMMIT", ()) from error


def connect_for_libpq(dialect: Dialect, record: Any, args: Any, more: Any) -> Any:
    """Connect; for SQLAlchemy's event `do_connect`."""
    from lazyengine.db.prepared import PLANS, PreparingConnection

    made = PreparingConnection.connect(*args, **more)
    made.execute(PLANS)
    made.commit()
    return made


def _session(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return getattr(driver, "session", None) or _new_session(driver)


def _new_session(driver: Any) -> Any:
    from lazyengine.db.prepared import session_of

    return session_of(driver)


def _convert(type_: Any, dialect: Dialect, kind: str, *args: Any) -> Convert | None:
    found: Convert | None = getattr(type_.dialect_impl(dialect), kind)(*args)
    return found


def _translated(error: Exception, connection: Connection, cursor: Any, text: str, given: Sequence[Any]) -> Exception:
    """Return SQLAlchemy's error for a driver's; a connection that broke is given up, as `Connection.execute` does."""
    dialect = connection.dialect
    is_broken = dialect.is_disconnect(error, connection.connection.driver_connection, cursor)  # type: ignore[arg-type]
    if is_broken:
        connection.invalidate(error)
        connection.engine.dispose()  # those in the pool are as old
    return DBAPIError.instance(
        text, given, error, dialect.loaded_dbapi.Error, hide_parameters=connection.engine.hide_parameters,
        connection_invalidated=is_broken, dialect=dialect,
    )  # fmt: skip
