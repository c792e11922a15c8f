"""What callers give comes back as it was: names that look alike, any JSON, whatever its size."""

from typing import Any

import pytest
from driving import OWNER, claim, done, failure, names, start, started, success

from lazyengine import errors
from lazyengine.core.state import Failure, Outcome, TaskState
from lazyengine.engine import Engine
from lazyengine.records import ExecutionQuery, Report, TaskQuery

ALIKE = [
    "a",
    "a ",
    " a",
    "A",
    "å",
    "a\u030a",
    "\u00e9",
    "e",
    "🦥",
    "🦥 ",
    "🐌",
    "a.json",
    "%41",
    "'; --",
    "ß",
    "ss",
    "😀" * 255,
]
VALUES: dict[str, Any] = {
    "nothing": None,
    "false": False,
    "zero": 0,
    "empty": ["", {}, []],
    "nul": "a\x00b",
    "surrogate": ["\ud83d", {"\udc00": "\ud800x"}],
    "emoji": {"🦥": "𝔘ñí"},
    "controls": "\x01\x1f\x7f\u2028\r\n\t",
    "big": [10**400, -(2**64), 2**53 + 1],
    "float": [1e308, 5e-324, -0.0, 0.1, 1.0],
    "quotes": "'\"\\%s %(x)s :name ?",
    "deep": [[[[[[[[1]]]]]]]],
    "date": "2020-01-01T00:00:00Z",
}


def test_names_that_look_alike_are_different_tasks(engine: Engine) -> None:
    """Names are compared byte by byte: blanks, case, accents and composition all count, on every backend."""
    tasks: dict[str, Any] = {name: {"on-success": f"{name}>"} for name in ALIKE[:-1]} | {ALIKE[-1]: None}
    id = started(engine, tasks | {f"{name}>": None for name in ALIKE[:-1]})
    for number, name in enumerate(ALIKE):
        answer = engine.complete_task(OWNER, id, success(name, number))
        assert answer.task.name == name
        assert names(answer.scheduled) == ([f"{name}>"] if name != ALIKE[-1] else [])
    assert [engine.get_task(OWNER, id, name).result for name in ALIKE] == list(range(len(ALIKE)))
    assert [task.name for task in engine.list_tasks(OWNER, id, TaskQuery()).items][: len(ALIKE)] == ALIKE


@pytest.mark.parametrize("name", ALIKE)
def test_names_elsewhere(engine: Engine, name: str) -> None:
    """The same holds for targets, actions, workers, claim keys and tags."""
    started(engine, {f"t{n}": {"target": one} for n, one in enumerate(ALIKE)}, tags=tuple(ALIKE))
    index = ALIKE.index(name)
    assert claim(engine, name, targets=(name,), key=name) == [f"t{index}"]
    assert claim(engine, name, targets=(name,), key=name) == [f"t{index}"]
    assert len(engine.list_executions(OWNER, ExecutionQuery(tag=name)).items) == 1
    assert engine.list_executions(OWNER, ExecutionQuery(tag=name + " " * (len(name) < 255) + "!")).items == ()


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_json_survives(engine: Engine, value: Any) -> None:
    """As input, as parameter, as literal of the definition, as result, as details of a failure and as output."""
    task = {"input": {"v": value}, "on-complete": "e"}
    id = start(
        engine, {"t": task, "f": None, "e": {"action": "std.noop"}},
        workflow={"input": ["v", {"d": value}], "output": {"v": value}},
        input={"v": value}, params={"env": {"v": value}},
    ).execution.id  # fmt: skip
    execution = engine.get_execution(OWNER, id)
    assert (execution.input, execution.params) == ({"v": value, "d": value}, {"env": {"v": value}})
    assert repr(execution.input) == repr({"d": value, "v": value}) or execution.input == {"v": value, "d": value}
    assert engine.get_task(OWNER, id, "t").input == {"v": value}
    assert engine.complete_task(OWNER, id, success("t", value)).task.result == value
    assert engine.complete_task(OWNER, id, success("t", value)).replayed
    assert repr(engine.get_task(OWNER, id, "t").result) == repr(value)
    engine.complete_task(OWNER, id, Report("f", Outcome(TaskState.SUCCESS, [value])))
    ended = engine.get_execution(OWNER, id)
    assert (ended.state, ended.output) == ("SUCCESS", {"v": value})


@pytest.mark.parametrize("text", ["", "a\x01b", "🦥" * 5_000, "x" * 65_536])
def test_any_message_survives(engine: Engine, text: str) -> None:
    """A failure keeps its whole message; the short info that people read may be cut.

    NUL and lone surrogates do not get this far: the API takes neither in a message.
    """
    id = started(engine, {"t": None})
    answer = engine.complete_task(OWNER, id, failure("t", text))
    stored = engine.get_task(OWNER, id, "t")
    assert stored.failure == answer.task.failure == Failure("test", text)
    assert stored.info is not None
    assert len(stored.info) <= 1000
    assert engine.get_execution(OWNER, id).state == "FAILURE"
    assert engine.complete_task(OWNER, id, failure("t", text)).replayed


@pytest.mark.parametrize("text", ["no\x00", "\ud800 lone", "x" * 70_000])
def test_what_no_database_could_keep_is_refused(engine: Engine, text: str) -> None:
    """The message of a command becomes the info of an execution: what could not is found when it is compiled."""
    with pytest.raises(errors.DefinitionInvalid):
        started(engine, {"t": {"on-success": f'fail(msg="{text}")'}})


def test_four_mebibytes(engine: Engine) -> None:
    """A large result goes in and comes out whole; a list does not carry it."""
    large = "🦥" * (1 << 20)
    id = started(engine, {"a": None, "b": None}, workflow={"input": ["v"]}, input={"v": large})
    assert engine.complete_task(OWNER, id, success("a", large)).task.result == large
    assert engine.get_task(OWNER, id, "a").result == large
    assert engine.get_execution(OWNER, id).input == {"v": large}
    assert all(task.result is None for task in engine.list_tasks(OWNER, id, TaskQuery()).items)
    assert engine.complete_task(OWNER, id, success("a", large)).replayed


def test_outputs(engine: Engine) -> None:
    """SUCCESS has the literal of the definition or {}, FAILURE and CANCELLED say why."""
    for workflow, expected in (({}, {}), ({"output": {}}, {}), ({"output": {"k": [1]}}, {"k": [1]})):
        id = started(engine, {"a": None}, workflow=workflow)
        assert engine.get_execution(OWNER, id).output is None
        assert done(engine, id, "a").execution.output == engine.get_execution(OWNER, id).output == expected
    id = started(engine, {"a": None}, workflow={"output": {"k": 1}})
    answer = engine.complete_task(OWNER, id, failure("a", "why"))
    assert answer.execution.output == {"result": "Task 'a' failed: why"}
    assert engine.get_execution(OWNER, id).output == answer.execution.output
