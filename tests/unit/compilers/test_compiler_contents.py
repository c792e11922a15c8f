"""What a definition consists of: its workflows, what they say of themselves, and workbooks."""

import pytest
from compiling import compiled, fault_of, paths_of

from lazyengine.compilers.workflow import compile_definition, declarations_of
from lazyengine.errors import DefinitionInvalid, WorkflowNotFound
from lazyengine.records import Declaration, DeclaredInput

TASKS = {"a": {}}
BOOK = {"version": "2.0", "name": "book", "workflows": {"v": {"tasks": TASKS}, "w": {"tasks": {"b": {}, "c": {}}}}}


def test_every_workflow_tells_of_itself_in_the_order_of_the_definition():
    text = """
    version: '2.0'
    second:
      description: about it
      tags: [x, "y\\0"]
      input: [b, {a: null}, {c: [1]}, d]
      tasks: {t: }
    first:
      tasks: {t: }
    """
    inputs = (
        DeclaredInput("b", True),
        DeclaredInput("a", False),
        DeclaredInput("c", False, [1]),
        DeclaredInput("d", True),
    )
    assert declarations_of(text, "", 10) == [
        Declaration("second", inputs, ("x", "y\0"), "about it"),
        Declaration("first"),
    ]


def test_a_declaration_is_only_told_of_what_can_run():
    """The checks are those of compiling, so the faults are the same."""
    bad = {"v": {"tasks": {"a": {"on-success": "x"}}}, "w": {"tasks": TASKS, "description": 7, "tags": "x"}}
    with pytest.raises(DefinitionInvalid) as caught:
        declarations_of(bad, "", 10)
    with pytest.raises(DefinitionInvalid) as compiling:
        compile_definition(bad, "w", "", 10)
    assert caught.value.faults == compiling.value.faults
    assert {fault.path for fault in caught.value.faults} == {"/v/tasks/a/on-success", "/w/description", "/w/tags"}


def test_faults_around_the_workflows_and_in_them_come_at_once():
    bad = {"version": "3", "a/b": {"tasks": {}}, "w": {"tasks": {"a": 7}}}
    assert paths_of(bad) == ["/version", "/a~1b", "/a~1b/tasks", "/w/tasks/a"]
    book = {"version": "3", "other": 1, "workflows": {"w": {"tasks": {"a": 7}}}}
    assert paths_of(book) == ["/version", "/other", "", "/workflows/w/tasks/a"]


@pytest.mark.parametrize(
    ("about", "path"),
    [
        ({"description": []}, "/w/description"),
        ({"description": 0}, "/w/description"),
        ({"tags": "x"}, "/w/tags"),
        ({"tags": {"x": 1}}, "/w/tags"),
        ({"tags": ["x", 7]}, "/w/tags/1"),
    ],
)
def test_what_people_write_about_a_workflow_is_text(about, path):
    assert paths_of({"w": {"tasks": TASKS, **about}}) == [path]


# -- workbooks --------------------------------------------------------------------------------------------------------


def test_the_workflows_of_a_workbook_are_called_after_it():
    assert [one.name for one in declarations_of(BOOK, "", 10)] == ["book.v", "book.w"]
    graph, nodes = compiled(BOOK, "book.w")
    assert (graph.workflow, list(nodes)) == ("book.w", ["b", "c"])
    for name in (None, "w", "book"):
        with pytest.raises(WorkflowNotFound, match=r"which has: 'book\.v', 'book\.w'"):
            compile_definition(BOOK, name, "", 10)


def test_the_only_workflow_of_a_workbook_needs_no_name():
    book = {"name": "b", "tags": ["t"], "description": "d", "workflows": {"version": "2.0", "w": {"tasks": TASKS}}}
    assert compiled(book)[0].workflow == "b.w"


def test_faults_in_a_workbook_have_their_place_in_it():
    book = {"name": "b", "workflows": {"w": {"tasks": {"a": {"join": -1}}}, "v": 7}}
    with pytest.raises(DefinitionInvalid) as caught:
        declarations_of(book, "", 10)
    assert [fault.path for fault in caught.value.faults] == ["/workflows/w/tasks/a/join", "/workflows/v"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": None}, "/name"),
        ({"name": "a/b"}, "/name"),
        ({"name": 7}, "/name"),
        ({"version": "1"}, "/version"),
        ({"tags": 7}, "/tags"),
        ({"description": 7}, "/description"),
        ({"other": {"tasks": TASKS}}, "/other"),
        ({"workflows": None}, "/workflows"),
        ({"workflows": {}}, "/workflows"),
        ({"workflows": {"version": "2.0"}}, "/workflows"),
        ({"workflows": []}, "/workflows"),
        ({"workflows": {"a/b": {"tasks": TASKS}}}, "/workflows/a~1b"),
        ({"workflows": {7: {"tasks": TASKS}}}, "/workflows/7"),
        ({"workflows": {"w" * 251: {"tasks": TASKS}}}, f"/workflows/{'w' * 251}"),
    ],
)
def test_what_is_no_workbook(change, path):
    assert fault_of({**BOOK, **change})[0] == path


def test_a_workbook_has_a_name():
    path, message = fault_of({"workflows": BOOK["workflows"]})
    assert (path, "name" in message) == ("", True)


def test_actions_alone_are_no_workbook():
    """A definition is stored and run as its workflows."""
    assert paths_of({"name": "b", "actions": {"x": {"base": "std.noop"}}}) == [""]
    assert paths_of({"actions": {}, "w": {"tasks": TASKS}}) == ["/w", "", ""]
