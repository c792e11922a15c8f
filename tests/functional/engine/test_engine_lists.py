"""Lists of executions and of tasks: filters, order, and pages with exact boundaries."""

from dataclasses import fields
from typing import Any

import pytest
from driving import (
    DIAMOND,
    OWNER,
    PAIR,
    STRANGER,
    TWICE,
    Clock,
    cancellation,
    done,
    failure,
    new_id,
    start,
    started,
)  # fmt: skip

from lazyengine import errors
from lazyengine.core.state import ExecutionState, TaskState
from lazyengine.engine import Engine
from lazyengine.records import ExecutionQuery, TaskQuery


def ids(engine: Engine, **query: Any) -> list[str]:
    return [one.id for one in engine.list_executions(OWNER, ExecutionQuery(**query)).items]


def pages_of_executions(engine: Engine, **query: Any) -> list[list[str]]:
    """Follow the pages to the end."""
    pages, marker = [], None
    for _ in range(100):
        page = engine.list_executions(OWNER, ExecutionQuery(marker=marker, **query))
        pages.append([one.id for one in page.items])
        if not page.more:
            return pages
        marker = pages[-1][-1]
    raise AssertionError(f"the pages do not come to an end: {pages[:5]}")


def pages_of_tasks(engine: Engine, id: str, **query: Any) -> list[list[tuple[str, int]]]:
    pages, marker = [], None
    for _ in range(100):
        page = engine.list_tasks(OWNER, id, TaskQuery(marker=marker, **query))
        pages.append([(one.name, one.iteration) for one in page.items])
        if not page.more:
            return pages
        marker = (page.items[-1].node, page.items[-1].iteration)
    raise AssertionError(f"the pages do not come to an end: {pages[:5]}")


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("tick", [0.0, 1.0])
def test_pages_of_executions(timed: Engine, clock: Clock, descending: bool, tick: float) -> None:
    """Every execution stands on exactly one page, also when all were created at the same moment."""
    clock.advance(tick)
    made = []
    for _ in range(6):
        clock.advance(tick)
        made.append(started(timed, PAIR))
    started(timed, PAIR, owner=STRANGER)
    whole = ids(timed, descending=descending)
    assert sorted(whole) == sorted(made)
    if tick:
        assert whole == (made[::-1] if descending else made)
    for limit, sizes in ((1, [1] * 6), (2, [2] * 3), (4, [4, 2]), (5, [5, 1]), (6, [6]), (7, [6])):
        pages = pages_of_executions(timed, descending=descending, limit=limit)
        assert [len(page) for page in pages] == sizes
        assert [id for page in pages for id in page] == whole


def test_a_marker_that_is_gone(engine: Engine) -> None:
    """A page behind an execution that is not there, or not the owner's, is empty and the last."""
    id = started(engine, PAIR)
    started(engine, PAIR)
    for owner, marker in ((OWNER, new_id()), (STRANGER, id)):
        page = engine.list_executions(owner, ExecutionQuery(marker=marker))
        assert (page.items, page.more) == ((), False)


def test_filters_of_executions(timed: Engine, clock: Clock) -> None:
    """By state, workflow, tag and time of creation; filters are combined by and."""
    first = started(timed, PAIR, tags=("x", "y"))
    clock.advance(1)
    moment = clock.now
    second = started(timed, DIAMOND, tags=("y", "Y", "y "))
    clock.advance(1)
    third = started(timed, PAIR)
    timed.update_execution(OWNER, third, state=ExecutionState.CANCELLED)
    done(timed, first, "a", "b")
    assert ids(timed, states=(ExecutionState.SUCCESS,)) == [first]
    assert ids(timed, states=(ExecutionState.SUCCESS, ExecutionState.CANCELLED)) == [third, first]
    assert ids(timed, workflow="w") == [third, second, first]
    assert ids(timed, workflow="W") == ids(timed, workflow="w ") == []
    assert ids(timed, tag="y") == [second, first]
    assert ids(timed, tag="y ") == ids(timed, tag="Y") == [second]
    assert ids(timed, tag="y", states=(ExecutionState.RUNNING,)) == [second]
    for comparison, expected in {
        "gt": [third], "gte": [third, second], "lt": [first], "lte": [second, first], "eq": [second],
        "neq": [third, first],
    }.items():  # fmt: skip
        assert ids(timed, created=((comparison, moment),)) == expected
    assert ids(timed, created=(("gte", moment), ("lte", moment))) == [second]


def test_pages_with_a_filter(timed: Engine) -> None:
    """The filter holds on every page, and a marker need not match it."""
    made = [started(timed, PAIR, tags=("even",) if n % 2 == 0 else ()) for n in range(9)]
    even = ids(timed, tag="even")
    assert sorted(even) == sorted(made[::2])
    assert pages_of_executions(timed, tag="even", limit=2) == [even[0:2], even[2:4], even[4:]]


def test_large_members_are_left_out(engine: Engine) -> None:
    """A list shows input and output only when asked for."""
    id = start(engine, {"a": {"action": "std.noop"}}, workflow={"input": ["k"], "output": {"o": 1}}, input={"k": 1})
    (short,) = engine.list_executions(OWNER, ExecutionQuery()).items
    (long,) = engine.list_executions(OWNER, ExecutionQuery(values=True)).items
    assert (short.input, short.output) == (None, None)
    assert (long.input, long.output) == ({"k": 1}, {"o": 1})
    assert long == id.execution


def test_the_whole_planned_graph_is_listed(engine: Engine) -> None:
    """In the order of the definition, what nothing has reached as PENDING; each run on its own."""
    id = started(engine, TWICE)
    done(engine, id, "a", "b")
    (page,) = pages_of_tasks(engine, id)
    assert page == [("a", 1), ("b", 1), ("c", 1), ("c", 2), ("d", 1)]
    waiting = engine.list_tasks(OWNER, id, TaskQuery()).items[-1]
    assert (waiting.state, waiting.attempt, waiting.created_at, waiting.started_at) == ("PENDING", 0, None, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
def test_pages_of_tasks(engine: Engine, limit: int) -> None:
    """A page may end between two runs of the same task; every run stands on exactly one page."""
    id = started(engine, TWICE)
    done(engine, id, "a", "b")
    whole = [("a", 1), ("b", 1), ("c", 1), ("c", 2), ("d", 1)]
    pages = pages_of_tasks(engine, id, limit=limit)
    assert pages == [whole[at : at + limit] for at in range(0, 5, limit)]


def test_tasks_by_state(engine: Engine) -> None:
    """PENDING finds what has no mark and what waits at a join alike."""
    tasks = {"a": {"on-success": "j"}, "b": {"on-success": "j"}, "j": {"join": "all", "on-success": "z"}, "z": None,
             "f": {"on-error": "g"}, "g": None, "x": None}  # fmt: skip
    id = started(engine, tasks)
    done(engine, id, "a")
    engine.complete_task(OWNER, id, failure("f"))
    engine.complete_task(OWNER, id, cancellation("x"))

    def of(*states: TaskState) -> list[str]:
        return [task.name for task in engine.list_tasks(OWNER, id, TaskQuery(states)).items]

    assert of(TaskState.PENDING) == ["j", "z"]
    assert of(TaskState.RUNNING) == ["b", "g"]
    assert of(TaskState.SUCCESS) == ["a"]
    assert of(TaskState.FAILURE, TaskState.CANCELLED) == ["f", "x"]
    assert pages_of_tasks(engine, id, states=(TaskState.PENDING,), limit=1) == [[("j", 1)], [("z", 1)]]


def test_a_listed_task_is_the_task(engine: Engine) -> None:
    """But for input, result and failure a list shows what the task itself shows."""
    id = started(engine, {"a": {"action": "my.act", "target": "gpu", "input": {"k": 1}}, "b": None})
    engine.complete_task(OWNER, id, failure("a"))
    for listed in engine.list_tasks(OWNER, id, TaskQuery()).items:
        single = engine.get_task(OWNER, id, listed.name)
        for field in {field.name for field in fields(single)} - {"input", "result", "failure"}:
            assert getattr(listed, field) == getattr(single, field), field
    assert single.input == {}
    assert engine.get_task(OWNER, id, "a").input == {"k": 1}


def test_reading_what_is_not_there(engine: Engine) -> None:
    """Executions, tasks and iterations that do not exist are named."""
    id = started(engine, PAIR)
    assert engine.get_task(OWNER, id, "b").state == engine.get_task(OWNER, id, "b", 1).state == "PENDING"
    with pytest.raises(errors.TaskNotFound, match="'c'"):
        engine.get_task(OWNER, id, "c")
    with pytest.raises(errors.TaskNotFound, match="'a' of iteration 2"):
        engine.get_task(OWNER, id, "a", 2)
    for call in (engine.get_execution, lambda owner, id: engine.list_tasks(owner, id, TaskQuery())):
        with pytest.raises(errors.ExecutionNotFound):
            call(OWNER, new_id())
