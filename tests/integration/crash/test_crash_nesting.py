"""Killed before every statement, or after every COMMIT, of a verb that touches several executions of a tree."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from crashing import MOST_POINTS, crash
from driving import OWNER, done, new_id, state_of
from nesting import CANCELLED, RUNNING, SUSPENDED, child, children, nest, steer
from sqlalchemy import or_, select

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.settings import Settings

Verb = Callable[[Engine, str], Any]
TREE: dict[str, Any] = {
    "w": {"a": {"workflow": "v", "on-success": "z"}, "z": {"workflow": "v"}},
    "v": {"b": {"workflow": "u"}},
    "u": {"c": None},
}
MASKED = {"id", "graph_id", "definition_digest", "request_digest"}


def begin(engine: Engine, id: str) -> Any:
    return nest(engine, TREE, id=id)


def lowest(engine: Engine, id: str) -> str:
    return child(engine, child(engine, id), "b")


def complete_lowest(engine: Engine, id: str) -> Any:
    """End the lowest execution, with it the one above, and so begin the next task of the top."""
    if state_of(engine, below := lowest(engine, id)) == "RUNNING":
        done(engine, below, "c")
    engine.carry_on_everywhere()


def steer_all(wish: Any) -> Verb:
    """Ask the top for a state; the others follow in transactions of their own."""
    return lambda engine, id: (steer(engine, id, wish), engine.carry_on_everywhere())


def suspend_lowest(engine: Engine, id: str) -> Any:
    steer(engine, lowest(engine, id), SUSPENDED)
    engine.carry_on_everywhere()


def delete(engine: Engine, id: str) -> Any:
    engine.delete_execution(OWNER, id, force=True)


ATOMIC: dict[str, tuple[tuple[Verb, ...], Verb]] = {
    "start": ((), begin),
    "complete the lowest": ((begin,), complete_lowest),
}
IN_STEPS: dict[str, tuple[tuple[Verb, ...], Verb]] = {
    "suspend the lowest": ((begin,), suspend_lowest),
    "suspend all": ((begin,), steer_all(SUSPENDED)),
    "resume all": ((begin, steer_all(SUSPENDED)), steer_all(RUNNING)),
    "cancel all": ((begin,), steer_all(CANCELLED)),
    "delete all": ((begin,), delete),
}


def state(database: Database, root: str) -> list[Any]:
    """Every row of every execution of a tree, its ids put in words."""
    with database.engine.connect() as connection:
        c = t.execution.c
        where = or_(c.id == root, c.root_id == root)
        executions = connection.execute(select(t.execution).where(where).order_by(c.depth, c.created_at, c.id)).all()
        names: dict[Any, str] = {root: "root"}
        for one in executions:
            names.setdefault(one.id, f"{names.get(one.parent_id)}/{one.parent_node}")
        found = [sorted(_masked(one._mapping, names) for one in executions)]
        for table in (t.mark, t.history, t.outbox):
            rows = connection.execute(select(table).where(table.c.execution_id.in_(names))).all()
            found.append(sorted(_masked(row._mapping, names) for row in rows))
    return found


def _masked(row: Any, names: dict[Any, str]) -> str:
    shown = {
        name: "a time" if isinstance(value, datetime) else names.get(value, value) if isinstance(value, str) else value
        for name, value in row.items()
        if name not in MASKED
    }
    text = repr(sorted(shown.items(), key=lambda pair: pair[0]))
    for id, name in names.items():
        text = text.replace(str(id), name)
    return text


def stages(database: Database, settings: Settings, before: tuple[Verb, ...], verb: Verb) -> tuple[Any, Any]:
    engine = Engine(database, settings)
    id = new_id()
    for one in before:
        one(engine, id)
    first = state(database, id)
    verb(engine, id)
    return first, state(database, id)


def crashes(
    database: Database, settings: Settings, before: tuple[Verb, ...], verb: Verb, check: Callable[[str, str], None],
    only: str,
) -> list[str]:  # fmt: skip
    engine = Engine(database, settings)
    points: list[str] = []
    for at in range(1, MOST_POINTS):
        id = new_id()
        for one in before:
            one(engine, id)
        point = crash(database, settings, lambda engine, id=id: verb(engine, id), at, only)
        check(point or "it lived", id)
        if point is None:
            return points
        points.append(point)
    raise AssertionError(f"it never came to an end: {points[-3:]}")


@pytest.mark.parametrize(("before", "verb"), ATOMIC.values(), ids=ATOMIC)
def test_a_tree_changes_whole_or_not_at_all(
    database: Database, settings: Settings, before: tuple[Verb, ...], verb: Verb
) -> None:
    """Executions that begin or end with others do so in one transaction; a repetition finishes it."""
    first, last = stages(database, settings, before, verb)
    assert first != last

    def check(point: str, id: str) -> None:
        assert state(database, id) in (first, last), point
        verb(Engine(database, settings), id)
        assert state(database, id) == last, point

    points = crashes(database, settings, before, verb, check, "before ")
    print(f"{database.dialect}: {len(points)} crash points")
    assert "before COMMIT" in points


@pytest.mark.parametrize(("before", "verb"), IN_STEPS.values(), ids=IN_STEPS)
def test_what_travels_down_a_tree_arrives(
    database: Database, settings: Settings, before: tuple[Verb, ...], verb: Verb
) -> None:
    """Killed between any two transactions: a repetition leads to the same end, and nothing is left to be done."""
    settings = replace(settings, busy_timeout_seconds=30.0)
    _, last = stages(database, settings, before, verb)

    def check(point: str, id: str) -> None:
        engine = Engine(database, settings)
        try:
            verb(engine, id)
        except errors.ExecutionNotFound:
            assert verb is delete, point
        assert state(database, id) == last, point

    points = crashes(database, settings, before, verb, check, "after COMMIT")
    print(f"{database.dialect}: {len(points)} crash points")
    assert points.count("after COMMIT") > 1


def test_the_children_of_a_tree_are_all_found(engine: Engine) -> None:
    """What the tests above compare has all executions in it."""
    id = new_id()
    begin(engine, id)
    assert len(state(engine.database, id)[0]) == 3
    assert len(children(engine, id)) == 1
