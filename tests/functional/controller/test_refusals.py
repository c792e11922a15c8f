"""What cannot run is refused alike by both stores: with an error of our own that says what is wrong, or it fails."""

import json
import logging
from pathlib import Path
from typing import Any

import library_flows as flows
import pytest
from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import linear_flow
from taskflow.persistence import backends

from lazyengine import errors
from lazyengine.controller import Controller

logging.getLogger("taskflow").setLevel(logging.CRITICAL + 1)


@pytest.fixture(params=["own", "memory", "dir", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A store of each kind."""
    url = f"sqlite:///{tmp_path / 'test.db'}"
    if request.param == "own":
        return url
    return backends.fetch({"connection": url if request.param == "sqlite" else request.param, "path": str(tmp_path)})


class Try(task.Task):
    def execute(self, value: Any) -> None:
        raise ValueError(json.dumps(value))


def ended(store: Any, flow: Flow, given: dict[str, Any] | None = None) -> str:
    """Return how an execution of a flow ends."""
    with Controller(store) as controller:
        execution = controller.start(flow, store=given)
        with controller._idle:
            assert controller._idle.wait_for(lambda: not controller._under_way, 30)
        return controller.get_state(execution)


class Odd(retry.Times):
    """Says that it tries something that is no JSON."""

    def execute(self, history: Any, **more: Any) -> Any:
        return self._attempts


@pytest.mark.parametrize(
    "controller",
    [
        retry.ForEach([(1, 2), (3, 4)], "r", provides="value"),
        retry.ForEach([{1: 2}], "r", provides="value"),
        Odd({1, 2}, "r", provides="value"),
    ],
)
def test_a_controller_that_tries_what_is_no_json_fails(store: Any, controller: retry.Retry) -> None:
    """A tuple comes back as a list, which equals none of what is to be tried: it would be tried for ever."""
    inner = linear_flow.Flow("inner", controller).add(Try("try"))
    assert ended(store, linear_flow.Flow("f").add(flows.Give("a", 1), inner)) == "REVERTED"


def test_tuples_that_a_flow_is_given_are_lists_from_the_start(store: Any) -> None:
    controller = retry.ParameterizedForEach("each", rebind={"values": "all"}, provides="value")
    flow = linear_flow.Flow("f", controller).add(Try("try"))
    assert ended(store, flow, {"all": [(1, 2), (3, 4)]}) == "REVERTED"


def test_what_a_flow_is_given_is_json_and_all_of_it(store: Any) -> None:
    """Nothing is stored that could not be run."""
    flow = linear_flow.Flow("f").add(Try("try"))
    with Controller(store, executor=None) as controller:
        with pytest.raises(errors.InputInvalid, match="'value' is missing"):
            controller.start(flow)
        with pytest.raises(errors.InputInvalid, match="no JSON"):
            controller.start(flow, store={"value": object()})
        if not isinstance(store, str):
            assert not list(controller.store.backend.get_connection().get_logbooks())


NAMES = {"n" * 256: "1 to 255 characters", "nu\0l": "control", "new\nline": "control", "lone \ud800": "surrogates"}


@pytest.mark.parametrize(("name", "reason"), NAMES.items())
def test_names_that_not_every_database_holds(store: Any, name: str, reason: str) -> None:
    with Controller(store, executor=None) as controller:
        for flow in (
            linear_flow.Flow("f").add(flows.Give(name, 1)),
            linear_flow.Flow(name).add(flows.Give("a", 1)),
            linear_flow.Flow("f", retry.Times(1, name)).add(flows.Give("a", 1)),
        ):
            with pytest.raises(errors.FlowUnusable, match=reason):
                controller.start(flow)


def test_the_longest_names(store: Any) -> None:
    """A flow within another has no need of a name that is stored."""
    inner = linear_flow.Flow("i" * 300).add(flows.Give("n" * 255, 1))
    assert ended(store, linear_flow.Flow("f" * 255).add(inner)) == "SUCCESS"


def test_a_flow_that_cannot_be_made(store: Any) -> None:
    calls = []

    def factory() -> Flow:
        calls.append(1)
        if len(calls) > 1:
            raise KeyError("lost")
        return linear_flow.Flow("f").add(flows.Give("a", 1))

    with Controller(store, executor=None) as controller:
        with pytest.raises(errors.FlowUnusable, match="its factory fails"):
            controller.start(factory)
        with pytest.raises(errors.FlowUnusable, match=r"duplicate names found: \['a'\]"):
            controller.start(linear_flow.Flow("g").add(flows.Give("a", 1), flows.Give("a", 1)))


def test_a_backend_that_cannot_be_read(tmp_path: Path) -> None:
    """A file lies where the directory of the flow details was."""
    with Controller({"connection": "dir", "path": str(tmp_path)}, executor=None) as controller:
        (tmp_path / "books").rename(tmp_path / "old")
        (tmp_path / "books").touch()
        with pytest.raises(errors.DatabaseUnavailable):
            controller.start(flows.one_two_three)
