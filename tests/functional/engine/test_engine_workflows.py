"""Stored workflows: revisions, namespaces, owners, pages, and executions of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from driving import DIAMOND, OWNER, PAIR, STRANGER, Clock, document, done, names, new_id, state_of, task_states
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import DeclaredInput, Start, WorkflowQuery

TWO: dict[str, Any] = {"version": "2.0", "v": {"tasks": DIAMOND}, "w": {"tasks": PAIR, "tags": ["x"]}}
OTHER: dict[str, Any] = {"version": "2.0", "w": {"tasks": DIAMOND, "description": "the other one"}}


def run(workflow: str = "w", digest: str = "d", **more: Any) -> Start:
    """A wish to start a stored workflow."""
    return Start(None, digest, workflow, **more)


def count(database: Database, table: Any) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def listed(engine: Engine, **query: Any) -> list[tuple[str, str, int]]:
    page = engine.list_workflows(OWNER, WorkflowQuery(**query))
    return [(one.namespace, one.declaration.name, one.revision) for one in page.items]


# -- storing ----------------------------------------------------------------------------------------------------------


def test_every_workflow_of_a_definition_is_stored(timed: Engine, clock: Clock, database: Database) -> None:
    """In the order of the definition, which is there once however many workflows it has."""
    stored = timed.store_workflows(OWNER, TWO)
    assert stored.created
    assert [(one.declaration.name, one.revision, one.namespace) for one in stored.workflows] == [
        ("v", 1, ""),
        ("w", 1, ""),
    ]
    assert {one.created_at for one in stored.workflows} == {clock.now}
    assert (count(database, t.workflow), count(database, t.definition)) == (2, 1)
    for one in stored.workflows:
        assert timed.get_workflow(OWNER, one.declaration.name) == replace(one, definition=TWO)


@pytest.mark.parametrize(
    "definition",
    [
        "w:\n  input: [a, b: {c: null}]\n  description: '# ä😀 \\'\n  tasks:\n    t: \n# a remark",
        {"w": {"input": ["a", {"b": {"c": None}}], "description": "nul \0, lone \ud800", "tasks": {"t": None}}},
    ],
    ids=["text", "object"],
)
def test_what_is_stored_is_what_was_given(engine: Engine, definition: Any) -> None:
    """A text stays a text with its remarks, an object an object; inputs are told with their defaults."""
    (stored,) = engine.store_workflows(OWNER, definition).workflows
    found = engine.get_workflow(OWNER, "w")
    assert found.definition == definition
    assert found.declaration == stored.declaration
    assert found.declaration.input == (DeclaredInput("a", True), DeclaredInput("b", False, {"c": None}))
    assert found.declaration.description


def test_storing_again_answers_again(timed: Engine, clock: Clock, database: Database) -> None:
    """The same definition once more is the same request once more, in whichever way it is stored."""
    first = timed.store_workflows(OWNER, TWO)
    clock.advance(60)
    for verb in (timed.store_workflows, timed.replace_workflows):
        again = verb(OWNER, TWO)
        assert (again.workflows, again.created) == (first.workflows, False)
    assert count(database, t.workflow) == 2


def test_a_workflow_that_is_there_is_not_overwritten(engine: Engine, database: Database) -> None:
    """One name that is taken refuses the whole definition."""
    engine.store_workflows(OWNER, OTHER)
    with pytest.raises(errors.WorkflowExists, match="'w'"):
        engine.store_workflows(OWNER, TWO)
    assert listed(engine) == [("", "w", 1)]
    assert (count(database, t.workflow), count(database, t.definition)) == (1, 1)


def test_replacing_makes_a_new_revision(timed: Engine, clock: Clock, database: Database) -> None:
    """Old revisions can still be looked at; the newest is meant where none is named."""
    timed.replace_workflows(OWNER, TWO)
    clock.advance(60)
    replaced = timed.replace_workflows(OWNER, OTHER)
    assert replaced.created
    assert [(one.revision, one.declaration.description) for one in replaced.workflows] == [(2, "the other one")]
    assert timed.get_workflow(OWNER, "w").definition == OTHER
    first = timed.get_workflow(OWNER, "w", revision=1)
    assert (first.definition, first.declaration.tags, first.created_at) == (
        TWO,
        ("x",),
        clock.now - timedelta(seconds=60),
    )
    assert timed.replace_workflows(OWNER, TWO).workflows[1].revision == 3
    assert listed(timed) == [("", "v", 1), ("", "w", 3)]
    assert count(database, t.definition) == 2
    with pytest.raises(errors.WorkflowNotFound, match="revision 4"):
        timed.get_workflow(OWNER, "w", revision=4)


def test_only_what_changed_gets_a_new_revision(engine: Engine) -> None:
    """A definition that meets some of its workflows as they are leaves those alone."""
    engine.store_workflows(OWNER, TWO)
    engine.replace_workflows(OWNER, OTHER)
    assert [one.revision for one in engine.replace_workflows(OWNER, TWO).workflows] == [1, 3]


def test_a_definition_with_faults_is_not_stored(engine: Engine, database: Database) -> None:
    """All faults are told at once, by whichever verb."""
    bad = {"v": {"tasks": {"a": {"on-success": "nowhere"}}}, "w": {"tasks": {}, "tags": [7]}}
    for verb in (engine.store_workflows, engine.replace_workflows):
        with pytest.raises(errors.DefinitionInvalid) as caught:
            verb(OWNER, bad)
        assert tuple(caught.value.faults) == engine.validate_definition(bad)
    assert [fault.path for fault in engine.validate_definition(bad)] == [
        "/v/tasks/a/on-success",
        "/w/tags/0",
        "/w/tasks",
    ]
    assert engine.validate_definition(TWO) == ()
    assert (count(database, t.workflow), count(database, t.definition)) == (0, 0)


def test_a_workbook_is_stored_as_its_workflows(engine: Engine) -> None:
    """Each under the name of the workbook and its own."""
    engine.store_workflows(OWNER, {"name": "book", "workflows": {"v": {"tasks": PAIR}, "w": {"tasks": DIAMOND}}})
    assert listed(engine) == [("", "book.v", 1), ("", "book.w", 1)]
    started = engine.start_execution(OWNER, run("book.w"))
    assert (started.execution.workflow, names(started.scheduled)) == ("book.w", ["a"])


@pytest.mark.parametrize("name", ["W", "w ", "w\u00a0", "ẃ", "x" * 255])
def test_a_name_is_only_itself(engine: Engine, name: str) -> None:
    """Neither case nor blanks nor accents make one name of two; the longest has its place in every index."""
    engine.store_workflows(OWNER, document(PAIR), namespace=name)
    engine.store_workflows(OWNER, {name: {"tasks": PAIR}})
    engine.store_workflows(OWNER, {name: {"tasks": PAIR}}, namespace=name)
    for place in (("", "w"), ("w", name), ("w", "w")):
        with pytest.raises(errors.WorkflowNotFound):
            engine.get_workflow(OWNER, place[1], place[0])
    assert engine.get_workflow(OWNER, name, name).declaration.name == name


def test_many_workflows_in_one_definition(engine: Engine) -> None:
    """More than one statement can name."""
    many = {f"w{number}": {"tasks": {"t": None}} for number in range(10_001)}
    assert len(engine.store_workflows(OWNER, many).workflows) == 10_001
    again = engine.replace_workflows(OWNER, many)
    assert (again.created, again.workflows[-1].revision) == (False, 1)


# -- looking ----------------------------------------------------------------------------------------------------------


def test_owners_do_not_meet(engine: Engine) -> None:
    """What another owner has stored is not there, by any verb; each has names of their own."""
    engine.store_workflows(OWNER, OTHER)
    for act in (engine.get_workflow, engine.delete_workflow):
        with pytest.raises(errors.WorkflowNotFound):
            act(STRANGER, "w")
    with pytest.raises(errors.WorkflowNotFound):
        engine.start_execution(STRANGER, run())
    assert engine.list_workflows(STRANGER, WorkflowQuery()).items == ()
    assert engine.store_workflows(STRANGER, TWO).workflows[1].revision == 1
    engine.delete_workflow(STRANGER, "w")
    assert engine.get_workflow(OWNER, "w").definition == OTHER


def test_pages_of_workflows(engine: Engine) -> None:
    """By namespace and name, each on exactly one page, the newest revision of each."""
    expected = []
    for namespace in ("", "a", "a.b"):
        for name in ("one", "three", "two"):
            engine.store_workflows(OWNER, {name: {"tasks": PAIR}}, namespace)
            engine.replace_workflows(OWNER, {name: {"tasks": DIAMOND}}, namespace)
            expected.append((namespace, name, 2))
    engine.store_workflows(STRANGER, TWO)
    assert listed(engine) == expected
    assert listed(engine, namespace="a") == expected[3:6]
    assert listed(engine, namespace="") == expected[:3]
    assert listed(engine, namespace="b") == []
    for limit in range(1, 11):
        found, marker = [], None
        for _ in range(20):
            page = engine.list_workflows(OWNER, WorkflowQuery(limit=limit, marker=marker))
            found += [(one.namespace, one.declaration.name, one.revision) for one in page.items]
            assert len(page.items) <= limit
            if not page.more:
                break
            marker = found[-1][:2]
        assert found == expected
    assert all(one.definition is None for one in engine.list_workflows(OWNER, WorkflowQuery()).items)


def test_workflows_are_found_by_their_tags(engine: Engine, database: Database) -> None:
    """By those of the newest revision, as they are written; what nobody could ask for is not in the way."""
    odd = ["x", "x", "y ", "", "t" * 256, "nul \0", "lone \ud800", "ä😀"]
    engine.store_workflows(OWNER, {"v": {"tasks": PAIR, "tags": odd}, "w": {"tasks": PAIR, "tags": ["x"]}})
    engine.store_workflows(OWNER, {"w": {"tasks": PAIR, "tags": ["x", "y"]}}, namespace="n")
    engine.store_workflows(STRANGER, TWO)
    assert listed(engine, tag="x") == [("", "v", 1), ("", "w", 1), ("n", "w", 1)]
    assert listed(engine, tag="x", namespace="", marker=("", "v")) == [("", "w", 1)]
    assert [listed(engine, tag=tag) for tag in ("y", "y ", "ä😀", "X")] == [[("n", "w", 1)], *[[("", "v", 1)]] * 2, []]
    engine.replace_workflows(OWNER, {"w": {"tasks": DIAMOND, "tags": ["z"]}})
    assert (listed(engine, tag="x"), listed(engine, tag="z")) == ([("", "v", 1), ("n", "w", 1)], [("", "w", 2)])
    for namespace, name in (("", "v"), ("", "w"), ("n", "w")):
        engine.delete_workflow(OWNER, name, namespace)
    assert (listed(engine, tag="x"), count(database, t.workflow_tag)) == ([], 1)


# -- deleting ---------------------------------------------------------------------------------------------------------


def test_deleting_takes_all_revisions(engine: Engine, database: Database) -> None:
    """And a definition goes with the last workflow that was stored with it; a later one of the name begins anew."""
    engine.store_workflows(OWNER, TWO)
    engine.replace_workflows(OWNER, OTHER)
    engine.store_workflows(STRANGER, TWO)
    engine.delete_workflow(OWNER, "w")
    for revision in (None, 1, 2):
        with pytest.raises(errors.WorkflowNotFound):
            engine.get_workflow(OWNER, "w", revision=revision)
    with pytest.raises(errors.WorkflowNotFound):
        engine.delete_workflow(OWNER, "w")
    assert (listed(engine), count(database, t.definition)) == ([("", "v", 1)], 1)
    engine.delete_workflow(OWNER, "v")
    assert count(database, t.definition) == 1
    for name in ("v", "w"):
        engine.delete_workflow(STRANGER, name)
    assert count(database, t.definition) == 0
    assert engine.store_workflows(OWNER, OTHER).workflows[0].revision == 1


# -- running ----------------------------------------------------------------------------------------------------------


def test_a_stored_workflow_runs(engine: Engine) -> None:
    """As if its definition had come along; the execution tells which definition it was."""
    stored = engine.store_workflows(OWNER, TWO).workflows[1]
    started = engine.start_execution(OWNER, run(description="d"))
    assert (started.execution.workflow, started.execution.description) == ("w", "d")
    assert started.execution.definition_digest == stored.definition_digest
    given = engine.start_execution(OWNER, Start(TWO, "e", "w"))
    assert given.execution.definition_digest == stored.definition_digest
    assert done(engine, started.execution.id, "a", "b").execution.state == "SUCCESS"


def test_input_is_held_against_the_stored_declaration(engine: Engine) -> None:
    engine.store_workflows(OWNER, document(PAIR, input=["host", {"port": 80}]))
    with pytest.raises(errors.InputInvalid, match="'host' is missing"):
        engine.start_execution(OWNER, run())
    assert engine.start_execution(OWNER, run(input={"host": 1})).execution.input == {"host": 1, "port": 80}


def test_the_newest_revision_is_started_and_running_ones_keep_theirs(engine: Engine) -> None:
    """Neither a new revision nor a deletion changes what runs already."""
    engine.store_workflows(OWNER, TWO)
    old = engine.start_execution(OWNER, run()).execution.id
    engine.replace_workflows(OWNER, OTHER)
    new = engine.start_execution(OWNER, run()).execution.id
    engine.delete_workflow(OWNER, "w")
    assert (list(task_states(engine, old)), list(task_states(engine, new))) == (["a", "b"], ["a", "b", "c", "d"])
    done(engine, old, "a", "b")
    done(engine, new, "a", "b", "c", "d")
    assert (state_of(engine, old), state_of(engine, new)) == ("SUCCESS", "SUCCESS")
    with pytest.raises(errors.WorkflowNotFound, match="GET /workflows"):
        engine.start_execution(OWNER, run())


def test_a_repeated_start_answers_again_whatever_the_workflow_has_become(engine: Engine) -> None:
    """A start with an id was one start; a new revision, or none at all any more, does not make it another."""
    engine.store_workflows(OWNER, TWO)
    wish = run(id=new_id())
    first = engine.start_execution(OWNER, wish)
    engine.replace_workflows(OWNER, OTHER)
    assert engine.start_execution(OWNER, wish) == replace(first, created=False)
    engine.delete_workflow(OWNER, "w")
    assert engine.start_execution(OWNER, wish) == replace(first, created=False)
    with pytest.raises(errors.ExecutionIdInUse):
        engine.start_execution(OWNER, replace(wish, digest="another"))
    with pytest.raises(errors.ExecutionIdInUse):
        engine.start_execution(STRANGER, wish)
    engine.delete_execution(OWNER, first.execution.id, force=True)
    with pytest.raises(errors.WorkflowNotFound):
        engine.start_execution(OWNER, wish)


def test_a_start_looks_in_its_namespace_and_then_in_the_default_one(engine: Engine) -> None:
    """Looking at a workflow does not: there the namespace is the place."""
    engine.store_workflows(OWNER, OTHER)
    engine.store_workflows(OWNER, document(PAIR), namespace="n")
    engine.store_workflows(OWNER, {"only": {"tasks": PAIR}}, namespace="n")
    for namespace, size in (("", 4), ("n", 2), ("m", 4)):
        id = engine.start_execution(OWNER, run(namespace=namespace)).execution.id
        assert len(task_states(engine, id)) == size
    with pytest.raises(errors.WorkflowNotFound, match="'only'"):
        engine.start_execution(OWNER, run("only"))
    with pytest.raises(errors.WorkflowNotFound, match="in namespace 'm'"):
        engine.get_workflow(OWNER, "w", "m")


def test_a_default_action_makes_another_graph_of_a_stored_workflow(engine: Engine, database: Database) -> None:
    """A graph that has not been compiled before is compiled from what is stored, once."""
    engine.store_workflows(OWNER, TWO)
    for _ in range(2):
        answer = engine.start_execution(OWNER, run(params={"default_action": "std.noop"}))
        assert answer.execution.state == "SUCCESS"
    engine.start_execution(OWNER, run())
    assert count(database, t.graph) == 2


def test_what_is_stored_may_not_run_by_todays_limits(engine: Engine) -> None:
    """Faults are told at the start then, as for any definition."""
    engine.store_workflows(OWNER, TWO)
    stricter = Engine(engine.database, replace(engine.settings, max_tasks=1))
    with pytest.raises(errors.DefinitionInvalid, match="at most 1 tasks"):
        stricter.start_execution(OWNER, run())
