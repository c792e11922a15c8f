"""What was committed reaches whoever called, and every task somebody who runs it, whatever goes wrong in between."""

import inspect
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import library_flows as flows
import pytest
import tenacity
from futurist import SynchronousExecutor
from sqlalchemy import Connection, create_engine, text
from taskflow import task
from taskflow.patterns import linear_flow
from taskflow.persistence import backends

from lazyengine import controller as door
from lazyengine import errors
from lazyengine.controller import Controller
from lazyengine.db.database import Database
from lazyengine.own_store import OwnStore
from tests.conftest import BACKENDS, new_database

logging.getLogger("taskflow").setLevel(logging.CRITICAL + 1)


@pytest.fixture(params=["own", "memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A store of each kind."""
    url = f"sqlite:///{tmp_path / 'test.db'}"
    if request.param == "own":
        return url
    return backends.fetch({"connection": url if request.param == "sqlite" else request.param})


@pytest.fixture
def made() -> Iterator[Callable[..., Controller]]:
    """Makes controllers, and closes them in the end."""
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(Controller(*args, **more))


def settled(controller: Controller) -> None:
    """Wait until nothing runs in this process."""
    with controller._idle:
        assert controller._idle.wait_for(lambda: not controller._under_way, 30)


class Broken(Executor):
    def submit(self, *args: Any, **more: Any) -> "Future[Any]":
        raise OSError("no room for another process")


def refuse(assignment: Any) -> None:
    raise ConnectionError(f"the queue does not take {assignment.task}")


@pytest.mark.parametrize("executor", [refuse, Broken()])
def test_an_executor_that_refuses(
    store: Any, made: Callable[..., Controller], caplog: pytest.LogCaptureFixture, executor: Any
) -> None:
    """What was committed is answered, it is logged, and the next start hands the tasks out."""
    flow = linear_flow.Flow("f").add(flows.Give("one", 1), flows.Give("two", 2))
    execution = made(store, executor).start(flow)
    assert [one.message for one in caplog.records if one.name == door.__name__] == [
        f"task 'one' of execution {execution} was not handed out, and is on offer to the next start"
    ]
    nobody = made(store, None, flows=(flow,))
    nobody.complete_task(execution, "one", 1)
    other = made(store)
    other.start(flow, execution)
    settled(other)
    assert other.get_state(execution) == "SUCCESS"


def test_a_completion_whose_task_to_follow_is_refused(store: Any, made: Callable[..., Controller]) -> None:
    taken: list[str] = []

    def take(assignment: Any) -> None:
        if assignment.task != "a":
            refuse(assignment)
        taken.append(assignment.task)

    flow = linear_flow.Flow("f").add(flows.Give("a", 1), flows.Give("b", 1))
    controller = made(store, take)
    execution = controller.start(flow)
    controller.complete_task(execution, "a", 1)
    other = made(store, lambda one: taken.append(one.task))
    other.start(flow, execution)
    assert taken == ["a", "b"]


LENGTH = 400
ELSEWHERE = "another machine:1"


def test_an_executor_that_runs_at_once(made: Callable[..., Controller]) -> None:
    """Each task of a chain begins when the one before has ended, and not within its end."""
    depths: list[int] = []

    class Deep(task.Task):
        def execute(self) -> int:
            depths.append(len(inspect.stack(0)))
            return 1

    flow = linear_flow.Flow("f").add(*(Deep(f"t{number}") for number in range(LENGTH)))
    controller = made("sqlite://", SynchronousExecutor())
    assert controller.get_state(controller.start(flow)) == "SUCCESS"
    assert (len(depths), len(set(depths))) == (LENGTH, 1)


# -- a database that lets nobody through ------------------------------------------------------------------------------


class Waits(task.Task):
    def __init__(self, name: str, begun: Event, may_end: Event, result: Any) -> None:
        super().__init__(name)
        self.begun, self.may_end, self.result = begun, may_end, result

    def execute(self) -> Any:
        self.begun.set()
        self.may_end.wait(30)
        return self.result


def locked_out(
    made: Callable[..., Controller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, result: Any
) -> tuple[Controller, Any, str]:
    """Let a task end while somebody else writes to the database; return the other's connection."""
    busy, begun, may_end = Event(), Event(), Event()
    options = door.patiently(lambda: None).retry
    again = options.copy(
        wait=tenacity.wait_fixed(0.05), stop=tenacity.stop_after_delay(seconds), before_sleep=lambda _: busy.set()
    )
    monkeypatch.setattr(door, "patiently", lambda function: again.wraps(function))
    url = f"sqlite:///{tmp_path / 'test.db'}"
    controller = made(url)
    database = controller.store.engine.database
    execution = controller.start(linear_flow.Flow("f").add(Waits("a", begun, may_end, result), flows.Give("b", 1)))
    assert begun.wait(30)
    database.settings = replace(database.settings, busy_timeout_seconds=0.05)
    database.dispose()
    writer = create_engine(url, isolation_level="AUTOCOMMIT").connect()
    writer.execute(text("BEGIN IMMEDIATE"))
    may_end.set()
    assert busy.wait(30)
    return controller, writer, execution


def test_an_end_that_the_database_takes_later(
    made: Callable[..., Controller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told again, so that nobody has to start the execution again."""
    controller, writer, execution = locked_out(made, tmp_path, monkeypatch, 30, 1)
    writer.execute(text("ROLLBACK"))
    settled(controller)
    assert controller.get_state(execution) == "SUCCESS"


def test_a_task_that_has_not_finished_is_not_run_again(
    made: Callable[..., Controller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, writer, execution = locked_out(made, tmp_path, monkeypatch, 30, None)
    writer.execute(text("ROLLBACK"))
    settled(controller)
    task = controller.store.engine.get_task("", execution, "a")
    assert (task.state, task.claimed_by, task.lease_expires_at) == ("RUNNING", None, None)


def test_an_end_that_the_database_does_not_take(
    made: Callable[..., Controller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is lost after some time, which is logged; the task is run again when its lease has run out."""
    controller, writer, execution = locked_out(made, tmp_path, monkeypatch, 0.3, 1)
    settled(controller)
    writer.execute(text("ROLLBACK"))
    messages = [one.message for one in caplog.records if one.levelno == logging.ERROR and one.name == door.__name__]
    assert messages == [
        f"the end of task 'a' of execution {execution} is lost",
        f"task 'a' of execution {execution} is on offer when its lease has run out",
    ]
    writer.execute(text("UPDATE mark SET lease_expires_at = '2000-01-01 00:00:00'"))
    controller.start(execution=execution)
    settled(controller)
    assert controller.get_state(execution) == "SUCCESS"


# -- what another process holds ---------------------------------------------------------------------------------------


def give_to_another_process(store: Any, held: Any) -> Callable[[], Any]:
    """Let another process hold a task that this one holds; return what reads who holds it, and until when."""
    if isinstance(store, OwnStore):
        store.engine.let_go("", held, store.holder, offers=True)
        assert store.engine.hold_task("", held, ELSEWHERE, 60)

        def read() -> tuple[str, Any]:
            task = store.engine.get_task("", held.execution_id, held.task)
            return task.claimed_by, task.lease_expires_at

        return read
    with store._visit(held.execution_id) as visit:
        visit.write(held.task, replace(visit.in_flight()[held.task], held_by=ELSEWHERE))

    def look() -> tuple[str, Any]:
        with store._visit(held.execution_id) as visit:
            holding = visit.in_flight()[held.task]
            return holding.held_by, holding.until

    return look


def test_a_lease_of_another_process_is_left_alone(store: Any, made: Callable[..., Controller]) -> None:
    """Who was believed dead neither renews nor gives up what somebody else runs by now."""
    begun, may_end, held = Event(), Event(), []
    controller = made(store)
    hold = controller._leases.hold
    controller._leases.hold = lambda one: (held.append(one), hold(one))
    controller.start(linear_flow.Flow("f").add(Waits("a", begun, may_end, None)))
    assert begun.wait(30)
    read = give_to_another_process(controller.store, held[0])
    before = read()
    controller.store.renew(held[0], 600)
    controller.store.let_go(held[0], offers=True)
    may_end.set()
    settled(controller)
    assert before[0] == ELSEWHERE
    assert read() == before


# -- the connection of the caller -------------------------------------------------------------------------------------

IMPATIENT = {
    "sqlite": {"timeout": 0.1},
    "postgresql": {"options": "-c lock_timeout=100"},
    "mysql": {"init_command": "SET SESSION innodb_lock_wait_timeout=1"},
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """A connection of a caller, who waits for nobody."""
    isolation = {} if database.dialect == "sqlite" else {"isolation_level": "READ COMMITTED"}
    engine = create_engine(database.url, connect_args=IMPATIENT[database.dialect], **isolation)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_caller_who_waits_in_vain(
    database: Database, connection: Connection, made: Callable[..., Controller]
) -> None:
    """Once it has rolled back it may do the same again."""
    known = {"executor": None, "flows": (flows.one_two_three,)}
    controller = made(connection, **known)
    execution = made(database.settings.database_url, **known).start(flows.one_two_three)
    with database.engine.connect() as blocking, blocking.begin():
        blocking.execute(text("UPDATE execution SET generation = generation"))
        with pytest.raises(errors.DatabaseBusy):
            controller.complete_task(execution, "one", 1)
        connection.rollback()
    controller.complete_task(execution, "one", 1)
    connection.commit()
    assert controller.draw(execution, "dot").count("RUNNING") == 1


KILL = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    "mysql": ("SELECT CONNECTION_ID()", "KILL {}"),
}


@pytest.mark.backends("postgresql", "mysql")
def test_a_connection_that_broke(database: Database, connection: Connection, made: Callable[..., Controller]) -> None:
    controller = made(connection, None)
    asked, kill = KILL[database.dialect]
    with database.engine.connect() as other:
        other.execute(text(kill.format(connection.scalar(text(asked)))))
    with pytest.raises(errors.DatabaseUnavailable):
        controller.start(flows.one_two_three)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_caller_without_our_tables(backend: str, tmp_path: Path, made: Callable[..., Controller]) -> None:
    for url in new_database(backend, tmp_path):
        engine = create_engine(url, **{} if backend == "sqlite" else {"isolation_level": "READ COMMITTED"})
        with engine.connect() as connection, pytest.raises(errors.SchemaNotReady, match="at nothing"):
            made(connection, None).start(flows.one_two_three)
        engine.dispose()
