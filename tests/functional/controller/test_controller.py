"""The library door over real databases: what tasks return, who completes them, stop and go on, death."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import library_flows as flows
import pytest
from taskflow import task
from taskflow.patterns import linear_flow, unordered_flow

from lazyengine import controller as door
from lazyengine import errors, own_store
from lazyengine.controller import UNFINISHED, Controller
from lazyengine.db.database import Database
from lazyengine.own_store import atom_uuid
from lazyengine.records import ExecutionQuery

EVERY = ExecutionQuery()


@pytest.fixture
def url(database: Database) -> str:
    """An empty database of each kind."""
    return database.settings.database_url


@pytest.fixture
def made() -> Iterator[Callable[..., Controller]]:
    """Makes controllers, and closes them in the end."""
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(Controller(*args, **more))


@pytest.fixture
def controller(url: str, made: Callable[..., Controller]) -> Controller:
    return made(url)


def settled(controller: Controller) -> None:
    """Wait until nothing runs in this process."""
    with controller._idle:
        assert controller._idle.wait_for(lambda: not controller._under_way, 30)


def state_of(controller: Controller, execution: str, task: str) -> str:
    return controller.store.engine.get_task("", execution, task).state.value


def result_of(controller: Controller, execution: str, task: str) -> Any:
    return controller.store.engine.get_task("", execution, task).result


def test_results_go_where_they_are_required(controller: Controller) -> None:
    execution = controller.start(flows.sum_flow)
    settled(controller)
    assert result_of(controller, execution, "add") == 5
    assert controller.get_state(execution) == "RUNNING"
    controller.complete_task(execution, "wait", {"any": "json"})
    assert controller.get_state(execution) == "SUCCESS"


def test_the_scenario_of_2014(url: str, controller: Controller, made: Callable[..., Controller]) -> None:
    """Two executions of one flow: one is stopped, the other completed by a controller that only knows the flow."""
    first, second = controller.start(flows.one_two_three()), controller.start(flows.one_two_three())
    settled(controller)
    controller.stop(first)
    other = made(url, executor=None, flows=(flows.one_two_three,))
    assert (other.get_state(first), other.get_state(second)) == ("SUSPENDING", "RUNNING")
    other.complete_task(second, "three", 3)
    other.complete_task(first, "three", 3)
    assert (controller.get_state(first), controller.get_state(second)) == ("SUSPENDED", "SUCCESS")
    assert other.start(execution=first) == first
    assert controller.get_state(first) == "SUCCESS"


def test_the_same_completion_twice_and_another_one(controller: Controller) -> None:
    execution = controller.start(flows.branches(2))
    settled(controller)
    for _ in range(2):
        controller.complete_task(execution, "b0", 1)
    with pytest.raises(errors.TaskAlreadyCompleted):
        controller.complete_task(execution, "b0", 2)
    with pytest.raises(errors.TaskNotFound):
        controller.complete_task(execution, "nobody")
    with pytest.raises(errors.TaskNotRunning):
        controller.complete_task(execution, "last")


def test_a_failure_is_reverted_in_reverse_order(controller: Controller, tmp_path: Path) -> None:
    log = tmp_path / "log"
    execution = controller.start(flows.failing, store={"log": str(log)})
    settled(controller)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["first", "second", "-second", "-first"]
    assert controller.get_state(execution) == "REVERTED"


def test_a_retry_controller_tries_again(controller: Controller, tmp_path: Path) -> None:
    log = tmp_path / "log"
    execution = controller.start(flows.retried, store={"log": str(log)})
    settled(controller)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["first", *["second", "-second"] * 2]
    assert controller.get_state(execution) == "REVERTED"
    assert state_of(controller, execution, "first") == "SUCCESS"


def test_a_failure_from_outside(controller: Controller) -> None:
    execution = controller.start(flows.one_two_three)
    settled(controller)
    controller.complete_task(execution, "three", ValueError("no"))
    settled(controller)
    assert controller.get_state(execution) == "REVERTED"


class Later(task.Task):
    def execute(self) -> object:
        return UNFINISHED


def test_none_may_be_a_result(url: str) -> None:
    """For those who say so; then a marker says that a task has not finished."""
    with Controller(url, none_completes=True) as controller:
        execution = controller.start(linear_flow.Flow("f").add(flows.Give("a", None), Later("b")))
        settled(controller)
        assert [state_of(controller, execution, name) for name in "ab"] == ["SUCCESS", "RUNNING"]


def test_a_result_that_is_no_json_is_a_failure(controller: Controller) -> None:
    execution = controller.start(linear_flow.Flow("f").add(flows.Give("a", object())))
    settled(controller)
    assert controller.get_state(execution) == "REVERTED"


def test_tasks_in_processes(url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Controller(url, ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))) as controller:
        controller.start(linear_flow.Flow("f").add(flows.Note("a")), store={"log": str(log)})
    assert log.read_text().strip() not in ("", f"a in {os.getpid()}")


def test_the_marker_in_another_process(url: str) -> None:
    """It is known again when it comes back."""
    with Controller(url, ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))) as controller:
        execution = controller.start(linear_flow.Flow("f").add(flows.Give("a", UNFINISHED)))
        settled(controller)
        assert state_of(controller, execution, "a") == "RUNNING"


def test_an_execution_and_a_task_by_uuid(controller: Controller) -> None:
    execution = controller.start(flows.one_two_three)
    settled(controller)
    with pytest.raises(errors.TaskNotFound):
        controller.complete_task(execution, uuid4(), 3)
    controller.complete_task(UUID(execution), atom_uuid(execution, "three"), 3)
    assert controller.get_state(UUID(execution)) == "SUCCESS"


def test_tasks_into_a_queue(url: str, made: Callable[..., Controller]) -> None:
    """What is queued is an assignment as workers get it."""
    queue: list[Any] = []
    controller = made(url, queue.append)
    execution = controller.start(flows.sum_flow)
    assert sorted(one.task for one in queue) == ["a", "b"]
    for one in [*queue]:
        controller.complete_task(execution, one.task, 4)
    assert [(one.task, one.input) for one in queue[2:]] == [("add", {"x": 4, "y": 4})]


def test_what_is_scheduled_together_goes_by_priority(url: str, made: Callable[..., Controller]) -> None:
    """The highest first, and the order of the flow among equals."""
    queue: list[Any] = []
    tasks = [flows.Give(name, 1) for name in "abcd"]
    tasks[1].priority, tasks[2].priority = -1, 5
    made(url, queue.append).start(unordered_flow.Flow("f").add(*tasks))
    assert [one.task for one in queue] == ["c", "a", "d", "b"]


def test_what_has_ended_is_not_run_again(controller: Controller) -> None:
    execution = controller.start(linear_flow.Flow("f").add(flows.Fail("a")))
    settled(controller)
    with pytest.raises(errors.ExecutionFinished, match="started anew"):
        controller.start(execution=execution)
    assert controller.get_state(execution) == "REVERTED"


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_calls_join_the_transaction_of_the_caller(
    url: str, database: Database, made: Callable[..., Controller], end: str
) -> None:
    with database.engine.connect() as connection, connection.begin() as transaction:
        execution = made(connection, executor=None).start(flows.one_two_three)
        getattr(transaction, end)()
    reader = made(url, executor=None, flows=(flows.one_two_three,))
    if end == "commit":
        assert reader.get_state(execution) == "RUNNING"
    else:
        with pytest.raises(errors.ExecutionNotFound):
            reader.get_state(execution)


def test_threads_cannot_join_a_transaction(database: Database) -> None:
    with database.engine.connect() as connection, pytest.raises(ValueError, match="committed"):
        Controller(connection)


def test_a_stopped_execution_begins_nothing(controller: Controller) -> None:
    execution = controller.start(flows.branches(2))
    settled(controller)
    controller.stop(execution)
    for name in ("b0", "b1"):
        controller.complete_task(execution, name, 1)
    assert (controller.get_state(execution), state_of(controller, execution, "last")) == ("SUSPENDED", "PENDING")
    controller.start(execution=execution)
    settled(controller)
    assert state_of(controller, execution, "last") == "RUNNING"


def die_in_the_middle(url: str, log: str) -> None:
    """Complete the first task and be killed in the second one."""

    class Die(task.Task):
        def execute(self, log: str) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    with Controller(url) as controller:
        flow = linear_flow.Flow("mortal").add(flows.Note("first"), Die("second"))
        print(controller.start(flow, store={"log": log}), flush=True)


def test_what_a_dead_process_held_is_run_again(url: str, database: Database, tmp_path: Path) -> None:
    """And what it had completed is not."""
    log = tmp_path / "log"
    database.dispose()
    process = multiprocessing.get_context("spawn").Process(target=die_in_the_middle, args=(url, str(log)))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    flow = linear_flow.Flow("mortal").add(flows.Note("first"), flows.Note("second"))
    with Controller(url, flows=(flow,)) as controller:
        (execution,) = (one.id for one in controller.store.engine.list_executions("", EVERY).items)
        assert state_of(controller, execution, "second") == "RUNNING"
        controller.start(execution=execution)
        settled(controller)
        assert controller.get_state(execution) == "SUCCESS"
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["first", "second"]


def test_a_process_that_does_not_know_the_flow(controller: Controller, made: Callable[..., Controller]) -> None:
    execution = controller.start(flows.one_two_three)
    settled(controller)
    stranger = made(controller.store.engine.settings.database_url)
    with pytest.raises(errors.WorkflowNotFound):
        stranger.start(execution=execution)
    with pytest.raises(errors.WorkflowNotFound):
        stranger.complete_task(execution, "three")


def test_what_a_living_process_runs_is_left_to_it(url: str, made: Callable[..., Controller]) -> None:
    """Another one that goes on with the execution begins it no second time."""
    begun, may_end = Event(), Event()

    class Long(task.Task):
        def execute(self) -> int:
            begun.set()
            may_end.wait(30)
            return 1

    flow = linear_flow.Flow("f").add(Long("long"))
    first = made(url)
    execution = first.start(flow)
    assert begun.wait(30)
    other = made(url, flows=(flow,))
    begun.clear()
    other.start(execution=execution)
    settled(other)
    assert not begun.is_set()
    may_end.set()
    settled(first)
    assert first.get_state(execution) == "SUCCESS"


@pytest.mark.parametrize("renews", [True, False])
def test_what_a_process_elsewhere_runs_is_left_to_it_while_it_is_heard_of(
    url: str, made: Callable[..., Controller], monkeypatch: pytest.MonkeyPatch, renews: bool
) -> None:
    """A task takes longer than a lease; who goes on elsewhere runs it again only if its lease is not renewed."""
    begun: Queue[str] = Queue()
    may_end = Event()

    class Long(task.Task):
        def execute(self) -> int:
            begun.put("begun")
            may_end.wait(30)
            return 1

    flow = linear_flow.Flow("f").add(Long("long"))
    for module in (door, own_store):
        monkeypatch.setattr(module, "LEASE_SECONDS", 0.9)
    first = made(url)
    first.store.holder = "another machine:1"
    if not renews:
        first._leases.renew = lambda _: None
    execution = first.start(flow)
    begun.get(timeout=30)
    time.sleep(2)
    other = made(url, flows=(flow,))
    other.start(execution=execution)
    if renews:
        settled(other)
        assert begun.empty()
    else:
        begun.get(timeout=30)
    may_end.set()
    settled(first)
    settled(other)
    assert first.get_state(execution) == "SUCCESS"
    if thread := first._leases._thread:
        thread.join(30)
    assert first._leases._thread is None


def complete_a_branch(url: str, execution: str, number: int) -> None:
    with Controller(url, executor=None, flows=(flows.branches,)) as controller:
        for _ in range(2):
            controller.complete_task(execution, f"b{number}", number)


@pytest.mark.backends("sqlite", "postgresql")
def test_eight_processes_complete_the_branches_of_a_flow(url: str, controller: Controller) -> None:
    """All at once and each twice; what follows begins once."""
    execution = controller.start(flows.branches)
    settled(controller)
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(["pytest", "lazyengine.controller"])
    processes = [forked.Process(target=complete_a_branch, args=(url, execution, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 8
    last = controller.store.engine.get_task("", execution, "last")
    assert (last.state.value, last.attempt) == ("RUNNING", 1)
    controller.start(execution=execution)
    settled(controller)
    controller.complete_task(execution, "last", "done")
    assert controller.get_state(execution) == "SUCCESS"


def test_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs as it stands."""
    runpy.run_path(str(Path(__file__).parents[3] / "examples" / "taskflow_library.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-2:] == ["shipping tea, approved by ann", "SUCCESS"]


def test_the_example_with_a_queue() -> None:
    """As a program, as its reader would run it: its workers are processes that import it."""
    example = Path(__file__).parents[3] / "examples" / "taskflow_queue.py"
    ended = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.splitlines() == ["sum: 9", "SUCCESS"]


def test_the_functions_of_the_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are those of a controller in the working directory."""
    monkeypatch.chdir(tmp_path)
    door.default.cache_clear()
    execution = door.start(flows.one_two_three())
    settled(door.default())
    door.stop(execution)
    assert door.get_state(execution) == "SUSPENDING"
    door.complete_task(execution, "three", 3)
    assert door.get_state(execution) == "SUSPENDED"
    door.start(execution=execution)
    assert door.get_state(execution) == "SUCCESS"
    assert (tmp_path / "flows.db").exists()
    door.default().close()
    door.default.cache_clear()


class Says(task.Task):
    def __init__(self, name: str, word: object) -> None:
        super().__init__(name, inject={"word": word})

    def execute(self, word: object) -> str:
        return f"said {word}"


def test_flows_of_one_name_are_kept_apart() -> None:
    """In memory; an execution has the flow that it was started with, whatever is started by that name after it."""
    with Controller("sqlite://") as controller:
        ids = [controller.start(linear_flow.Flow("mail").add(Says("say", word))) for word in ("ann", "bob")]
        settled(controller)
        found = [controller.store.engine.get_task("", id, "say").result for id in ids]
    assert found == ["said ann", "said bob"]


def test_what_is_injected_need_not_be_json() -> None:
    flow = linear_flow.Flow("f").add(Says("first", 1), Says("second", Path("/x")))
    with Controller("sqlite://") as controller:
        execution = controller.start(flow)
        settled(controller)
        assert controller.get_state(execution) == "SUCCESS"
        assert controller.store.engine.get_task("", execution, "second").result == "said /x"


def test_tasks_by_uuid_are_found_at_a_cost_that_does_not_grow_with_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uuids of a flow's tasks are worked out once and not for each completion."""
    made: list[str] = []

    def counted(execution: str, task: str) -> str:
        made.append(task)
        return atom_uuid(execution, task)

    monkeypatch.setattr(own_store, "atom_uuid", counted)
    with Controller("sqlite://", executor=None) as controller:
        names = [f"t{number}" for number in range(20)]
        execution = controller.start(linear_flow.Flow("f").add(*(flows.Give(name, 1) for name in names)))
        for name in names:
            controller.complete_task(execution, atom_uuid(execution, name), 1)
        assert controller.get_state(execution) == "SUCCESS"
    assert made == names


def test_an_executor_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="not 'process'"):
        Controller("sqlite://", executor="process")


def test_a_cancelled_call_is_on_offer_to_the_next_start() -> None:
    """An executor that is shut down has not run it, and that is no failure."""
    begun, may_end = Event(), Event()

    class Waits(task.Task):
        def execute(self) -> int:
            begun.set()
            may_end.wait(30)
            return 1

    flow = unordered_flow.Flow("f").add(Waits("one"), Waits("two"))
    with ThreadPoolExecutor(1) as executor, Controller("sqlite://", executor=executor) as first:
        execution = first.start(flow)
        begun.wait(30)
        executor.shutdown(wait=False, cancel_futures=True)
        may_end.set()
        settled(first)
        tasks = [first.store.engine.get_task("", execution, name) for name in ("one", "two")]
        assert sorted(one.state for one in tasks) == ["RUNNING", "SUCCESS"]
        assert next(one.claimed_by for one in tasks if one.state == "RUNNING") is None
