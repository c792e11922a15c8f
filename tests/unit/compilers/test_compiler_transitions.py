"""on-success, on-error, on-complete: to tasks, to commands, in Mistral's order."""

import pytest
from compiling import compiled, definition_of, edges_of, fault_of, nodes_of, paths_of

from lazyengine.core.graph import Command, Edge, On
from lazyengine.errors import DefinitionInvalid


def test_specific_clauses_come_before_on_complete_however_they_are_written():
    """Mistral: workflow/direct_workflow.py, _find_next_tasks."""
    nodes = nodes_of({"a": {"on-complete": ["b"], "on-error": ["c"], "on-success": ["d"]}, "b": {}, "c": {}, "d": {}})
    assert edges_of(nodes, "a") == [("on-success", "d"), ("on-error", "c"), ("on-complete", "b")]


def test_a_clause_may_be_one_name():
    assert edges_of(nodes_of({"a": {"on-success": "b"}, "b": None}), "a") == [("on-success", "b")]


def test_a_list_keeps_its_order():
    nodes = nodes_of({"a": {"on-success": ["c", "noop", "b", "fail"]}, "b": {}, "c": {}})
    assert [to for _, to in edges_of(nodes, "a")] == ["c", "noop", "b", "fail"]


@pytest.mark.parametrize(
    ("entry", "command", "message"),
    [
        ("fail", Command.FAIL, None),
        ("succeed", Command.SUCCEED, None),
        ("pause", Command.PAUSE, None),
        ("noop", Command.NOOP, None),
        ('fail msg="no way"', Command.FAIL, "no way"),
        ('fail(msg="no way")', Command.FAIL, "no way"),
        ('fail(msg="no")', Command.FAIL, "no"),
        ("succeed(msg='that will do')", Command.SUCCEED, "that will do"),
        ("fail()", Command.FAIL, None),
        ("fail msg=null", Command.FAIL, None),
        ("fail msg=42", Command.FAIL, "42"),
        ("fail msg=true", Command.FAIL, "true"),
        ('fail msg=["a", 1]', Command.FAIL, '["a", 1]'),
        ('fail msg="' + "x" * 1000 + '"', Command.FAIL, "x" * 1000),
        ("fail msg=<% task().result %>", Command.FAIL, "<% task().result %>"),
        ('pause(msg="see {{ _.x }}")', Command.PAUSE, "see {{ _.x }}"),
    ],
)
def test_commands_and_their_messages(entry, command, message):
    assert nodes_of({"a": {"on-error": entry}})["a"].edges == (Edge(On.ERROR, command, None, message),)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("nobody", "there is no task 'nobody'"),
        ("", "there is no task ''"),
        ("fail(msg=", "there is no task"),
        ('nobody(msg="x")', "there is no task"),
        ('fail text="x"', 'takes msg="..." and nothing else'),
        ('fail msg="' + "x" * 1001 + '"', "at most 1000 characters"),
        ('fail msg="a\0b"', "no NUL"),
        ('fail msg="\ud800"', "no lone surrogates"),
        ("fail msg=<% task(). %>", "is no YAQL expression"),
        ('fail(msg="{{ _. }}")', "is no Jinja expression"),
        ("<% $.x %>", "there is no task '<% $.x %>'"),
        (None, "{name: guard}, not to null"),
        (7, "{name: guard}, not to a number"),
        (["b"], "{name: guard}, not to a list"),
        ({"b": True, "c": True}, "{name: guard}, not to an object"),
    ],
)
def test_what_no_transition_leads_to(entry, reason):
    path, message = fault_of(definition_of({"a": {"on-success": ["b", entry]}, "b": {}}))
    assert path == "/w/tasks/a/on-success/1"
    assert reason in message


@pytest.mark.parametrize("clause", [0, False, 1.5])
def test_what_is_no_clause(clause):
    assert fault_of(definition_of({"a": {"on-error": clause}}))[0] == "/w/tasks/a/on-error"


def test_guards():
    """In a list each entry may have one."""
    guard = "<% $.x %>"
    for clause in ([{"b": guard}, "c", {"fail": True}], {"next": [{"b": guard}, "c", {"fail": True}]}):
        edges = nodes_of({"a": {"on-success": clause}, "b": {}, "c": {}})["a"].edges
        assert [(edge.to, edge.guard) for edge in edges] == [(1, guard), (2, None), (Command.FAIL, True)]


def test_a_guard_outside_of_a_list_is_what_mistral_makes_of_it():
    """A clause that is {name: guard} leads nowhere; `next` leads there without a condition."""
    guard = "<% $.x %>"
    nodes = nodes_of({"a": {"on-success": {"b": guard}}, "b": {}})
    assert (nodes["a"].edges, nodes["b"].indegree) == ((), 0)
    assert nodes_of({"a": {"on-success": {"next": {"b": guard}}}, "b": {}})["a"].edges == (Edge(On.SUCCESS, 1),)


@pytest.mark.parametrize(
    ("clause", "path"),
    [
        ({"b": "<% 1 %>", "c": "<% 1 %>"}, ""),
        ({}, ""),
        ({"b": "<% $. %>"}, "/b"),
        ({"x": "<% 1 %>"}, "/x"),
        ({"next": {"b": "<% 1 %>", "c": "<% 1 %>"}}, "/next"),
        ({"next": {"b": 7}}, "/next/b"),
        ({"next": 7}, "/next"),
    ],
)
def test_objects_that_are_no_clause(clause, path):
    assert paths_of(definition_of({"a": {"on-success": clause}, "b": {}, "c": {}})) == [f"/w/tasks/a/on-success{path}"]


@pytest.mark.parametrize("guard", [None, 1, "x", "<% $. %>", "{{ ", ["<% 1 %>"]])
def test_what_is_no_guard(guard):
    path, _ = fault_of(definition_of({"a": {"on-success": [{"b": guard}]}, "b": {}}))
    assert path == "/w/tasks/a/on-success/0/b"


def test_what_is_published():
    """A task's own `publish` goes over its clause's, and on-complete's over both (Mistral: `get_publish`)."""
    tasks = {
        "a": {
            "publish": {"x": 1, "y": "<% 1 %>"},
            "publish-on-error": {"e": 1},
            "publish-on-skip": {"s": 1},
            "on-skip": {"publish": {"global": {"g": 4}, "atomic": {"i": 1}}},
            "on-success": {"publish": {"branch": {"x": 2}, "global": {"g": 3}}, "next": "b"},
            "on-complete": {"publish": {"branch": {"x": 4, "z": 5}}},
        },
        "b": {},
    }
    assert nodes_of(tasks)["a"].publish == {
        "SUCCESS": {"branch": {"x": 4, "y": "<% 1 %>", "z": 5}, "global": {"g": 3}},
        "FAILURE": {"branch": {"e": 1, "x": 4, "z": 5}},
        "SKIPPED": {"global": {"g": 4}},
    }


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"publish": []}, "/publish"),
        ({"publish": {"x": "<% $. %>"}}, "/publish/x"),
        ({"publish-on-error": {7: 1}}, "/publish-on-error"),
        ({"on-success": {"publish": 7}}, "/on-success/publish"),
        ({"on-success": {"publish": {"branch": 7}}}, "/on-success/publish/branch"),
        ({"on-success": {"publish": {"atomic": 7}}}, "/on-success/publish/atomic"),
        ({"on-success": {"publish": {"atomic": {"x": "<% $. %>"}}}}, "/on-success/publish/atomic/x"),
        ({"publish-on-skip": {"x": "<% $. %>"}}, "/publish-on-skip/x"),
        ({"on-skip": {"publish": {"branch": {"x": "<% $. %>"}}}}, "/on-skip/publish/branch/x"),
        ({"on-success": {"publish": {"x": 1}}}, "/on-success/publish/x"),
        ({"on-success": {"next": "a-loop", "x": 1}}, "/on-success/x"),
    ],
)
def test_what_cannot_be_published(spec, path):
    assert paths_of(definition_of({"a": spec, "a-loop": {}}))[0] == f"/w/tasks/a{path}"


@pytest.mark.parametrize("clause", [None, []])
def test_an_empty_clause_is_none(clause):
    assert nodes_of({"a": {"on-success": clause}})["a"].edges == ()


def test_the_same_entry_twice_in_one_list_is_refused():
    """Mistral: uniqueItems in lang/v2/on_clause.py."""
    fault = fault_of(definition_of({"a": {"on-success": ["b", "pause", "b"]}, "b": {}}))
    assert fault == ("/w/tasks/a/on-success/2", "'b' stands in this list twice")


def test_the_same_task_in_two_clauses_is_two_edges():
    nodes = nodes_of({"a": {"on-success": "b", "on-complete": "b"}, "b": {}})
    assert edges_of(nodes, "a") == [("on-success", "b"), ("on-complete", "b")]
    assert (nodes["b"].indegree, nodes["b"].repeats) == (1, True)


def test_the_name_of_a_task_wins_over_the_reading_as_a_command():
    """A name may look like a call."""
    nodes = nodes_of({"a": {"on-success": 'fail(msg="x")'}, 'fail(msg="x")': {}})
    assert edges_of(nodes, "a") == [("on-success", 'fail(msg="x")')]


def test_on_skip():
    nodes = nodes_of({"a": {"on-skip": ["b", "noop"], "on-success": "b"}, "b": {}})
    assert edges_of(nodes, "a") == [("on-success", "b"), ("on-skip", "b"), ("on-skip", "noop")]
    assert (nodes["b"].indegree, nodes["b"].repeats) == (1, False)


def test_transitions_are_limited_in_number(monkeypatch):
    """task-defaults give theirs to every task: a short text must not become a huge graph."""
    monkeypatch.setattr("lazyengine.compilers.workflow.MOST_TRANSITIONS", 20)
    tasks = {**{f"a{number}": None for number in range(5)}, **{f"b{n}": {"on-success": "noop"} for n in range(5)}}
    defaults = {"on-success": [f"b{number}" for number in range(5)]}
    path, message = fault_of(definition_of(tasks, task_defaults=defaults))
    assert path == "/w/tasks"
    assert "at most 20 transitions" in message


def test_messages_count_as_transitions_by_their_length(monkeypatch):
    monkeypatch.setattr("lazyengine.compilers.workflow.MOST_TRANSITIONS", 20)
    tasks = {"a": None, "b": None}
    assert nodes_of(tasks, task_defaults={"on-error": f'fail msg="{"x" * 500}"'})
    assert "transitions" in fault_of(definition_of(tasks, task_defaults={"on-error": f'fail msg="{"x" * 900}"'}))[1]


def test_the_workflows_of_a_definition_share_the_limit(monkeypatch):
    monkeypatch.setattr("lazyengine.compilers.workflow.MOST_TRANSITIONS", 3)
    tasks = {"a": {"on-success": ["b", "c"]}, "b": {}, "c": {}}
    compiled({"v": {"tasks": tasks}}, "v")
    with pytest.raises(DefinitionInvalid, match=r"/w/tasks: .* at most 3 transitions"):
        compiled({"v": {"tasks": tasks}, "w": {"tasks": tasks}}, "v")
