"""Killed before every statement, before and after every COMMIT of a verb of stored workflows: whole or not at all."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from crashing import MOST_POINTS, crash
from driving import OWNER, PAIR, new_id
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import WorkflowQuery
from lazyengine.settings import Settings

Verb = Callable[[Engine, str], Any]


def definition(namespace: str, **about: Any) -> dict[str, Any]:
    """Two workflows that nobody has stored before."""
    return {"v": {"tasks": PAIR, "description": namespace}, "w": {"tasks": PAIR, **about}}


def nothing(engine: Engine, namespace: str) -> None:
    """Nothing has to be so before."""


def store(engine: Engine, namespace: str) -> Any:
    return engine.store_workflows(OWNER, definition(namespace), namespace)


def substitute(engine: Engine, namespace: str) -> Any:
    return engine.replace_workflows(OWNER, definition(namespace, tags=["new"]), namespace)


def delete(engine: Engine, namespace: str) -> None:
    with suppress(errors.WorkflowNotFound):  # a repetition finds it gone
        engine.delete_workflow(OWNER, "w", namespace)


TRIALS: dict[str, tuple[Verb, Verb]] = {
    "store": (nothing, store),
    "replace": (store, substitute),
    "delete": (lambda engine, namespace: (store(engine, namespace), substitute(engine, namespace)), delete),
}


def state(engine: Engine, namespace: str) -> list[tuple[str, int, tuple[str, ...]]]:
    page = engine.list_workflows(OWNER, WorkflowQuery(namespace))
    return [(one.declaration.name, one.revision, one.declaration.tags) for one in page.items]


@pytest.mark.parametrize(("prepare", "verb"), TRIALS.values(), ids=TRIALS)
def test_a_verb_happens_whole_or_not_at_all(database: Database, settings: Settings, prepare: Verb, verb: Verb) -> None:
    """The state is the one before or the one after, a repetition leads to the one after, and no definition is left."""
    engine = Engine(database, settings)
    points: list[str] = []
    found: list[Any] = []
    for at in range(1, MOST_POINTS):
        namespace = new_id()
        prepare(engine, namespace)
        before = state(engine, namespace)
        point = crash(database, settings, lambda engine, namespace=namespace: verb(engine, namespace), at)
        found.append(state(engine, namespace))
        verb(engine, namespace)
        after = state(engine, namespace)
        assert before != after
        assert found[-1] in (before, after), point
        if point is None:
            break
        points.append(point)
    assert "before COMMIT" in points
    assert "after COMMIT" in points
    with database.engine.connect() as connection:
        used = connection.execute(select(func.count(func.distinct(t.workflow.c.definition_digest)))).scalar_one()
        assert connection.execute(select(func.count()).select_from(t.definition)).scalar_one() == used
