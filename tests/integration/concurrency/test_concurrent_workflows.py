"""Many processes that store, replace and delete workflows of one name at the same moment."""

from dataclasses import replace
from typing import Any

import pytest
from crowd import at_once
from driving import OWNER, PAIR, document, new_id
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Start
from lazyengine.settings import Settings

CROWD = 8


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, busy_timeout_seconds=30.0, threads=2)


def test_each_replacement_is_a_revision_of_its_own(database: Database, engine: Engine, settings: Settings) -> None:
    """Eight processes replace a workflow by five definitions each: revisions have neither gap nor repetition."""
    database.dispose()

    def work(engine: Engine, number: int) -> list[int]:
        return [
            engine.replace_workflows(OWNER, document(PAIR, description=f"{number}.{turn}")).workflows[0].revision
            for turn in range(5)
        ]

    revisions = sorted(revision for each in at_once(settings, CROWD, work) for revision in each)
    assert revisions == list(range(1, 5 * CROWD + 1))
    assert engine.get_workflow(OWNER, "w").revision == 5 * CROWD


def test_one_definition_is_stored_once(database: Database, engine: Engine, settings: Settings) -> None:
    """All are told the same, and one that it was new; owners may store the same at the same moment."""
    database.dispose()

    def work(engine: Engine, number: int) -> Any:
        return engine.store_workflows(OWNER, document(PAIR)), engine.store_workflows(f"owner {number}", document(PAIR))

    answers = at_once(settings, CROWD, work)
    assert sorted(mine.created for mine, _ in answers) == [False] * (CROWD - 1) + [True]
    assert all(own.created for _, own in answers)
    assert len({mine.workflows[0].created_at for mine, _ in answers}) == 1
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(t.definition)).scalar_one() == 1


def test_one_of_several_definitions_takes_the_name(database: Database, engine: Engine, settings: Settings) -> None:
    """The others are told that it is taken."""
    database.dispose()

    def work(engine: Engine, number: int) -> bool:
        try:
            return engine.store_workflows(OWNER, document(PAIR, description=str(number))).created
        except errors.WorkflowExists:
            return False

    assert sorted(at_once(settings, CROWD, work)) == [False] * (CROWD - 1) + [True]
    assert engine.get_workflow(OWNER, "w").revision == 1


def test_storing_and_deleting_what_shares_a_definition(database: Database, engine: Engine, settings: Settings) -> None:
    """No workflow is left without its definition, and no definition without a workflow."""
    database.dispose()

    def work(engine: Engine, number: int) -> None:
        for _ in range(20):
            engine.store_workflows(f"owner {number}", document(PAIR))
            assert engine.get_workflow(f"owner {number}", "w").definition == document(PAIR)
            engine.delete_workflow(f"owner {number}", "w")

    at_once(settings, CROWD, work)
    with database.engine.connect() as connection:
        for table in (t.definition, t.workflow):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_starts_amid_replacements(database: Database, engine: Engine, settings: Settings) -> None:
    """Each start takes a revision that is there, and all repetitions of a start tell of the same execution."""
    engine.store_workflows(OWNER, document(PAIR))
    ids = [new_id() for _ in range(10)]
    database.dispose()

    def work(engine: Engine, number: int) -> list[Any]:
        if number % 2:
            return [engine.replace_workflows(OWNER, document(PAIR, description=f"{number} {n}")) for n in range(10)]
        return [engine.start_execution(OWNER, Start(None, "d", "w", id=id)) for id in ids]

    starts = at_once(settings, CROWD, work)[::2]
    for same in zip(*starts, strict=True):
        assert sum(one.created for one in same) == 1
        assert len({one.execution.definition_digest for one in same}) == 1
