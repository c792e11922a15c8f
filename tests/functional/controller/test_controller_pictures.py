"""Pictures from Python: of a flow, of a definition, and of an execution as it stands."""

import re
from collections.abc import Iterator

import library_flows as flows
import pytest

from lazyengine import errors
from lazyengine.controller import Controller
from lazyengine.core.state import TaskState
from lazyengine.db.database import Database
from lazyengine.drawing import draw
from lazyengine.pictures import COLOURS

NODE = re.compile(r'  n\d+ \[label="(\w+)\\n(\w+).*fillcolor="(#\w+)"')


@pytest.fixture
def controller(database: Database) -> Iterator[Controller]:
    with Controller(database.settings.database_url, executor=None) as controller:
        yield controller


def states_in(picture: str) -> dict[str, str]:
    """Read the tasks of a DOT picture with their states, and see that they have the colours of these."""
    found = {}
    for name, state, colour in NODE.findall(picture):
        assert colour == COLOURS[TaskState(state)][0]
        found[name] = state
    return found


def test_a_flow_before_it_runs() -> None:
    assert states_in(draw(flows.one_two_three(), "dot")) == {"one": "PENDING", "two": "PENDING", "three": "PENDING"}
    assert draw(flows.one_two_three()).startswith("flowchart TB")


def test_a_definition() -> None:
    definition = {"version": "2.0", "w": {"tasks": {"a": {"on-success": "b"}, "b": {}}}}
    assert states_in(draw(definition, "dot")) == {"a": "PENDING", "b": "PENDING"}
    assert "n0 -->" in draw("version: '2.0'\nw: {tasks: {a: {on-success: b}, b: {}}}", workflow="w")
    with pytest.raises(errors.DefinitionInvalid):
        draw("version: '2.0'")


def test_an_execution_as_it_stands(controller: Controller) -> None:
    execution = controller.start(flows.one_two_three)
    controller.complete_task(execution, "one", 1)
    expected = {"one": "SUCCESS", "two": "RUNNING", "three": "PENDING"}
    assert states_in(controller.draw(execution, "dot")) == expected
    assert '"two<br/>RUNNING' in controller.draw(execution)


def test_a_format_that_there_is_not(controller: Controller) -> None:
    with pytest.raises(ValueError, match="dot or mermaid, not as 'png'"):
        draw(flows.one_two_three(), "png")
