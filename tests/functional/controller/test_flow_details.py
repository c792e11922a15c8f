"""The library door over TaskFlow's own persistence: the same verbs, and what TaskFlow's engines make of it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import UUID

import library_flows as flows
import pytest
from taskflow import engines, retry, task
from taskflow.patterns import linear_flow, unordered_flow
from taskflow.persistence import backends
from taskflow.persistence.base import Backend
from taskflow.persistence.models import FlowDetail
from taskflow.utils.persistence_utils import create_flow_detail

from lazyengine import errors
from lazyengine.controller import UNFINISHED, Controller
from lazyengine.locks import locks_of
from tests.conftest import new_database

logging.getLogger("taskflow").setLevel(logging.CRITICAL + 1)


@pytest.fixture(params=["memory", "dir", "sqlite", "postgresql", "mysql"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A persistence backend of each kind."""
    if request.param in ("memory", "dir"):
        yield backends.fetch({"connection": request.param, "path": str(tmp_path / "details")})
        return
    for url in new_database(request.param, tmp_path):
        with closing(backends.fetch({"connection": url})) as made:
            yield made


@pytest.fixture
def made(backend: Backend) -> Iterator[Callable[..., Controller]]:
    """Makes controllers over the backend, and closes them in the end."""
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(Controller(backend, *args, **more))


@pytest.fixture
def controller(made: Callable[..., Controller]) -> Controller:
    return made()


def settled(controller: Controller) -> None:
    """Wait until nothing runs in this process."""
    with controller._idle:
        assert controller._idle.wait_for(lambda: not controller._under_way, 30)


def read(backend: Backend, execution: str) -> FlowDetail:
    with closing(backend.get_connection()) as connection:
        return connection.get_flow_details(execution)


def atoms(backend: Backend, execution: str) -> dict[str, Any]:
    return {one.name: one for one in read(backend, execution)}


def test_results_go_where_they_are_required(controller: Controller, backend: Backend) -> None:
    execution = controller.start(flows.sum_flow)
    settled(controller)
    found = atoms(backend, execution)
    assert (found["add"].results, found["wait"].state, found["wait"].intention) == (5, "RUNNING", "EXECUTE")
    assert controller.get_state(execution) == "RUNNING"
    controller.complete_task(execution, "wait", {"any": "json"})
    assert (controller.get_state(execution), read(backend, execution).state) == ("SUCCESS", "SUCCESS")
    assert atoms(backend, execution)["wait"].results == {"any": "json"}


def test_an_execution_is_a_uuid_or_a_flow_detail_and_a_task_may_be_a_uuid(
    controller: Controller, backend: Backend, made: Callable[..., Controller]
) -> None:
    """Each call takes each of them; a process that was told of no flow makes it from the factory that is on record."""
    execution = controller.start(flows.one_two_three)
    settled(controller)
    detail = read(backend, execution)
    stranger = made(executor=None)
    assert [stranger.get_state(one) for one in (execution, UUID(execution), detail)] == ["RUNNING"] * 3
    stranger.stop(detail)
    assert stranger.start(execution=detail) == execution
    stranger.complete_task(detail, atoms(backend, execution)["three"].uuid, 3)
    assert stranger.get_state(UUID(execution)) == "SUCCESS"


def test_a_flow_detail_that_is_new_is_started(controller: Controller, backend: Backend) -> None:
    detail = create_flow_detail(flows.one_two_three(), backend=backend)
    assert controller.get_state(detail) == "PENDING"
    assert controller.start(flows.one_two_three(), execution=detail) == detail.uuid
    settled(controller)
    assert {name: one.state for name, one in atoms(backend, detail.uuid).items()} == {
        "one": "SUCCESS", "two": "SUCCESS", "three": "RUNNING"
    }  # fmt: skip


def test_the_same_completion_twice_and_another_one(controller: Controller) -> None:
    execution = controller.start(flows.branches(2))
    settled(controller)
    for _ in range(2):
        controller.complete_task(execution, "b0", [1, {"x": None}])
    with pytest.raises(errors.TaskAlreadyCompleted):
        controller.complete_task(execution, "b0", 2)
    with pytest.raises(errors.TaskNotFound):
        controller.complete_task(execution, "nobody")
    with pytest.raises(errors.TaskNotRunning):
        controller.complete_task(execution, "last")
    controller.complete_task(execution, "b1", 1)
    settled(controller)
    controller.complete_task(execution, "last", 1)
    controller.complete_task(execution, "last", 1)
    with pytest.raises(errors.TaskAlreadyCompleted):
        controller.complete_task(execution, "last", 2)


@pytest.mark.parametrize("unknown", ["0c0ffee0-0000-4000-8000-000000000001", "nothing", "../details", "..", ""])
def test_an_unknown_execution(controller: Controller, unknown: str) -> None:
    for call in (controller.get_state, controller.stop, lambda one: controller.start(execution=one)):
        with pytest.raises(errors.ExecutionNotFound):
            call(unknown)


def test_an_execution_that_has_ended(controller: Controller) -> None:
    execution = controller.start(linear_flow.Flow("f").add(flows.Give("a", 1)))
    settled(controller)
    for call in (controller.stop, lambda one: controller.start(execution=one)):
        with pytest.raises(errors.ExecutionFinished):
            call(execution)


def lines(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def test_a_failure_is_reverted_in_reverse_order(controller: Controller, backend: Backend, tmp_path: Path) -> None:
    execution = controller.start(flows.failing, store={"log": str(tmp_path / "log")})
    settled(controller)
    assert lines(tmp_path / "log") == ["first", "second", "-second", "-first"]
    assert controller.get_state(execution) == "REVERTED"
    third = atoms(backend, execution)["third"]
    assert (third.state, third.intention, third.failure.exception_str) == ("REVERTED", "REVERT", "third failed")


def test_a_retry_controller_tries_again(controller: Controller, backend: Backend, tmp_path: Path) -> None:
    execution = controller.start(flows.retried, store={"log": str(tmp_path / "log")})
    settled(controller)
    assert lines(tmp_path / "log") == ["first", *["second", "-second"] * 2]
    assert controller.get_state(execution) == "REVERTED"
    assert atoms(backend, execution)["first"].state == "SUCCESS"


class Try(task.Task):
    def execute(self, value: int) -> None:
        raise ValueError(value)


def test_a_retry_controller_sees_what_it_has_tried(controller: Controller, backend: Backend) -> None:
    """TaskFlow itself reads back another history than it has saved, and tries the first value for ever."""
    flow = linear_flow.Flow("f", retry.ForEach([3, 4, 5], "each", provides="value")).add(Try("try"))
    execution = controller.start(flow)
    settled(controller)
    assert controller.get_state(execution) == "REVERTED"
    assert atoms(backend, execution)["try"].failure.exception_str == "5"


def test_a_failure_from_outside_and_the_same_again(controller: Controller) -> None:
    execution = controller.start(flows.one_two_three)
    settled(controller)
    controller.complete_task(execution, "three", ValueError("no"))
    settled(controller)
    assert controller.get_state(execution) == "REVERTED"
    controller.complete_task(execution, "three", ValueError("no"))
    with pytest.raises(errors.TaskAlreadyCompleted):
        controller.complete_task(execution, "three", ValueError("yes"))


class Waits(task.Task):
    """Both ways have to be completed by somebody else."""

    def execute(self) -> object:
        return UNFINISHED

    def revert(self, *args: Any, **more: Any) -> object:
        return UNFINISHED


def test_what_runs_when_another_fails_ends_first_and_is_reverted_then(controller: Controller, backend: Backend) -> None:
    """A revert is completed from outside as well."""
    execution = controller.start(unordered_flow.Flow("f").add(Waits("a"), Waits("b"), Waits("c")))
    settled(controller)
    controller.complete_task(execution, "a", 1)
    controller.complete_task(execution, "b", ValueError("no"))
    settled(controller)
    assert {name: one.state for name, one in atoms(backend, execution).items()} == {
        "a": "REVERTING", "b": "REVERTING", "c": "RUNNING"
    }  # fmt: skip
    controller.complete_task(execution, "c", 3)
    settled(controller)
    assert atoms(backend, execution)["c"].state == "REVERTING"
    for name in "cba":
        assert controller.get_state(execution) == "RUNNING"
        controller.complete_task(execution, name)
    assert controller.get_state(execution) == "REVERTED"


def test_a_revert_that_fails(controller: Controller, backend: Backend) -> None:
    """Nothing more begins; the flow fails once nothing is in flight."""
    execution = controller.start(unordered_flow.Flow("f").add(Waits("a"), Waits("b"), Waits("c")))
    settled(controller)
    controller.complete_task(execution, "a", 1)
    controller.complete_task(execution, "b", ValueError("no"))
    settled(controller)
    controller.complete_task(execution, "a", ValueError("cannot"))
    assert controller.get_state(execution) == "RUNNING"
    controller.complete_task(execution, "c", 3)
    controller.complete_task(execution, "b")
    assert controller.get_state(execution) == "FAILURE"
    assert {name: one.state for name, one in atoms(backend, execution).items()} == {
        "a": "REVERT_FAILURE", "b": "REVERTED", "c": "SUCCESS"
    }  # fmt: skip


def test_stop_and_go_on(controller: Controller, backend: Backend) -> None:
    execution = controller.start(flows.branches(2))
    settled(controller)
    controller.stop(execution)
    assert controller.get_state(execution) == "SUSPENDING"
    controller.complete_task(execution, "b0", 1)
    assert controller.get_state(execution) == "SUSPENDING"
    controller.complete_task(execution, "b1", 1)
    controller.stop(execution)
    assert (controller.get_state(execution), atoms(backend, execution)["last"].state) == ("SUSPENDED", "PENDING")
    controller.start(execution=execution)
    settled(controller)
    assert atoms(backend, execution)["last"].state == "RUNNING"
    controller.stop(execution)
    controller.start(execution=execution)
    assert controller.get_state(execution) == "RUNNING"
    controller.complete_task(execution, "last", 1)
    assert controller.get_state(execution) == "SUCCESS"


def test_what_nobody_ran_is_run_by_who_starts_it_again(made: Callable[..., Controller], backend: Backend) -> None:
    execution = made(executor=None).start(flows.one_two_three)
    assert atoms(backend, execution)["one"].state == "RUNNING"
    runner = made()
    runner.start(execution=execution)
    settled(runner)
    assert {name: one.state for name, one in atoms(backend, execution).items()} == {
        "one": "SUCCESS", "two": "SUCCESS", "three": "RUNNING"
    }  # fmt: skip


def test_tasks_into_a_queue(made: Callable[..., Controller]) -> None:
    queue: list[Any] = []
    controller = made(queue.append)
    execution = controller.start(flows.sum_flow)
    for one in [*queue]:
        controller.complete_task(execution, one.task, 4)
    assert [(one.task, one.attempt, one.input) for one in queue[2:]] == [("add", 1, {"x": 4, "y": 4})]


def test_taskflows_engine_finishes_what_the_controller_began(
    controller: Controller, backend: Backend, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    flow = linear_flow.Flow("f").add(flows.Note("first"), flows.Give("wait", None), flows.Note("last"))
    execution = controller.start(flow, store={"log": str(log)})
    settled(controller)
    controller.stop(execution)
    engine = engines.load(flow, flow_detail=read(backend, execution), backend=backend, engine="serial")
    engine.run()
    assert (lines(log), controller.get_state(execution)) == (["first", "last"], "SUCCESS")


def test_the_controller_finishes_what_taskflows_engine_began(
    controller: Controller, backend: Backend, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    flow = linear_flow.Flow("f").add(flows.Note("first"), flows.Note("second"), flows.Note("last"))
    detail = create_flow_detail(flow, backend=backend)
    engine = engines.load(flow, flow_detail=detail, backend=backend, engine="serial", store={"log": str(log)})
    engine.atom_notifier.register("SUCCESS", lambda state, details: engine.suspend())
    engine.run()
    assert controller.get_state(detail) == "SUSPENDED"
    controller.start(flow, execution=detail)
    settled(controller)
    assert (lines(log), controller.get_state(detail)) == (["first", "second", "last"], "SUCCESS")


def test_a_result_that_is_no_json_is_a_failure(controller: Controller, backend: Backend) -> None:
    execution = controller.start(linear_flow.Flow("f").add(flows.Give("a", object())))
    settled(controller)
    assert controller.get_state(execution) == "REVERTED"
    assert "JSON" in atoms(backend, execution)["a"].failure.exception_str


def test_a_flow_that_nobody_can_make_anew(controller: Controller, made: Callable[..., Controller]) -> None:
    execution = controller.start(flows.one_two_three())  # no factory that could be on record
    settled(controller)
    with pytest.raises(errors.WorkflowNotFound):
        made(executor=None).complete_task(execution, "three", 3)


def test_a_backend_without_locks(tmp_path: Path) -> None:
    class Strange(Backend):  # type: ignore[misc]
        def get_connection(self) -> None:
            """It never comes to that."""

        def close(self) -> None:
            """It has nothing."""

    with pytest.raises(ValueError, match="cannot be locked"):
        locks_of(Strange({}))
