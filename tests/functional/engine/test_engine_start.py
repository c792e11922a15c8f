"""Starting: what is handed out first, what makes a start idempotent, which input is taken."""

import uuid
from dataclasses import replace

import pytest
from driving import DIAMOND, OWNER, PAIR, STRANGER, done, history, names, new_id, rows, start, started, wish
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import ExecutionQuery

NEEDS = {"input": ["host", {"port": 80}]}
TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def test_the_first_batch_is_handed_out(engine: Engine) -> None:
    """A start answers with every task that nothing leads to, and with all that a worker has to know of it."""
    tasks = {"x": {"action": "my.act a=1", "target": "gpu", "input": {"b": [2]}}, "y": None, **PAIR}
    answer = start(engine, tasks, traceparent=TRACE)
    first = answer.scheduled[0]
    assert answer.created
    assert names(answer.scheduled) == ["x", "y", "a"]
    assert (first.execution_id, first.traceparent) == (answer.execution.id, TRACE)
    assert (first.action, first.target, first.input) == ("my.act", "gpu", {"a": 1, "b": [2]})
    assert (first.attempt, first.iteration) == (1, 1)


def test_the_answer_is_what_is_stored(engine: Engine) -> None:
    """What a start answers is what a later read answers."""
    answer = start(engine, PAIR, description="for people", tags=("x", "y"), params={"env": {"k": 1}})
    stored = engine.get_execution(OWNER, answer.execution.id)
    assert stored == answer.execution
    assert (stored.description, stored.tags, stored.params) == ("for people", ("x", "y"), {"env": {"k": 1}})
    assert (stored.state, stored.workflow, stored.generation, stored.finished_at) == ("RUNNING", "w", 1, None)


def test_the_same_id_and_request_again_starts_nothing(engine: Engine, database: Database) -> None:
    """A repeated start answers the same execution and the same first batch, even when that is long over."""
    first = start(engine, DIAMOND, id=new_id())
    again = start(engine, DIAMOND, id=first.execution.id)
    assert (again.created, again.execution, again.scheduled) == (False, first.execution, first.scheduled)
    done(engine, first.execution.id, *"abcd")
    events = history(database, first.execution.id)
    late = start(engine, DIAMOND, id=first.execution.id)
    assert (late.created, late.scheduled, late.execution.state) == (False, first.scheduled, "SUCCESS")
    assert history(database, first.execution.id) == events


@pytest.mark.parametrize("owner", [OWNER, STRANGER])
def test_an_id_in_use_is_refused(engine: Engine, database: Database, owner: str) -> None:
    """The same id with another request, or by another owner, is refused and changes nothing."""
    first = wish(PAIR, id=new_id())
    engine.start_execution(OWNER, first)
    before = rows(database, t.mark, str(first.id))
    other = first if owner is STRANGER else replace(first, digest="another")
    with pytest.raises(errors.ExecutionIdInUse, match=str(first.id)):
        engine.start_execution(owner, other)
    assert rows(database, t.mark, str(first.id)) == before
    with pytest.raises(errors.ExecutionNotFound):
        engine.get_execution(STRANGER, str(first.id))


def test_without_an_id_each_start_is_a_new_one(engine: Engine) -> None:
    """The service makes ids of its own: canonical UUIDs, one for each request."""
    ids = {started(engine, PAIR) for _ in range(3)}
    assert len(ids) == 3
    assert all(str(uuid.UUID(id)) == id for id in ids)


def test_a_definition_is_stored_once(engine: Engine, database: Database) -> None:
    """Executions of the same definition share its graph; another default action makes another graph."""
    for _ in range(2):
        started(engine, PAIR)
    started(engine, PAIR, params={"default_action": "std.noop"})
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(t.graph)).scalar_one() == 2
        assert connection.execute(select(func.count()).select_from(t.node)).scalar_one() == 4


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "'host' is missing"),
        ({"host": "h", "prot": 1}, "'prot' is not declared"),
        ({"prot": 1}, "'host' is missing; 'prot' is not declared"),
    ],
)
def test_input_that_does_not_fit_is_refused(engine: Engine, given: dict[str, object], reason: str) -> None:
    """A declared input without a default has to be given, and nothing else may be; nothing is started."""
    with pytest.raises(errors.InputInvalid, match=reason):
        start(engine, PAIR, workflow=NEEDS, input=given)
    assert engine.list_executions(OWNER, ExecutionQuery()).items == ()


def test_input_is_filled_up_with_defaults(engine: Engine) -> None:
    """What is not given comes from the definition, what is given wins; null is a value."""
    assert start(engine, PAIR, workflow=NEEDS, input={"host": None}).execution.input == {"host": None, "port": 80}
    assert start(engine, PAIR, workflow=NEEDS, input={"host": 1, "port": 2}).execution.input == {"host": 1, "port": 2}


def test_a_definition_that_cannot_run_starts_nothing(engine: Engine) -> None:
    """Every fault is named at once, and neither graph nor execution is stored."""
    with pytest.raises(errors.DefinitionInvalid) as caught:
        start(engine, {"a": {"on-success": "nowhere"}, "b": {"retry": {"count": 1}}}, id=new_id())
    assert [fault.path for fault in caught.value.faults] == ["/w/tasks/a/on-success", "/w/tasks/b/retry"]
    assert engine.list_executions(OWNER, ExecutionQuery()).items == ()


def test_a_workflow_that_is_not_there(engine: Engine) -> None:
    """Naming a workflow that the definition lacks is refused with the names that it has."""
    with pytest.raises(errors.WorkflowNotFound, match="'w'"):
        engine.start_execution(OWNER, replace(wish(PAIR), workflow="x"))


def test_pure_actions_end_within_the_start(engine: Engine) -> None:
    """A graph of pure actions only is over when its start is answered."""
    answer = start(engine, {"a": {"action": "std.noop", "on-success": "b"}, "b": {"action": "std.echo output=7"}})
    assert (answer.execution.state, answer.scheduled, answer.execution.output) == ("SUCCESS", (), {})
    assert engine.get_task(OWNER, answer.execution.id, "b").result == 7
