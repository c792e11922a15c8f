"""task-defaults: transitions for tasks without their own (Mistral: lang/v2/workflows.py, get_on_error_clause)."""

import json

import pytest
from compiling import compiled, definition_of, edges_of, fault_of, nodes_of, paths_of


def test_they_apply_where_a_task_has_none_of_that_kind():
    nodes = nodes_of({"a": {"on-error": "noop"}, "b": {"on-success": "noop"}}, task_defaults={"on-error": "fail"})
    assert edges_of(nodes, "a") == [("on-error", "noop")]
    assert edges_of(nodes, "b") == [("on-success", "noop"), ("on-error", "fail")]


@pytest.mark.parametrize("clause", [None, []])
def test_an_empty_clause_leaves_them_in_force(clause):
    assert edges_of(nodes_of({"a": {"on-error": clause}}, task_defaults={"on-error": "fail"}), "a")


def test_they_do_not_lead_from_a_task_to_itself():
    nodes = nodes_of({"a": {}, "h": {}}, task_defaults={"on-error": ["h", "noop"]})
    assert edges_of(nodes, "a") == [("on-error", "h"), ("on-error", "noop")]
    assert edges_of(nodes, "h") == [("on-error", "noop")]


def test_a_task_named_in_them_is_no_root():
    graph, _ = compiled(definition_of({"h": {}, "a": {}}, task_defaults={"on-error": "h"}))
    assert graph.roots == (1,)


@pytest.mark.parametrize("defaults", [None, {}, {"on-error": None}, {"on-error": []}])
def test_empty_defaults_are_none(defaults):
    assert nodes_of({"a": {}}, task_defaults=defaults)["a"].edges == ()


@pytest.mark.parametrize(
    ("defaults", "path"),
    [
        ([], "/w/task-defaults"),
        ({"retry": {"count": 1}}, "/w/task-defaults/retry"),
        ({"timeout": "soon"}, "/w/task-defaults/timeout"),
        ({"join": "all"}, "/w/task-defaults/join"),
        ({"requires": "a"}, "/w/task-defaults/requires"),
        ({"keep-result": False}, "/w/task-defaults/keep-result"),
        ({"on-skip": "x"}, "/w/task-defaults/on-skip"),
        ({"on-error": ["nobody"]}, "/w/task-defaults/on-error/0"),
        ({"on-success": 7}, "/w/task-defaults/on-success"),
        ({7: "a"}, "/w/task-defaults/7"),
    ],
)
def test_faults_are_told_once_at_their_place(defaults, path):
    assert paths_of(definition_of({"a": {}, "b": {}}, task_defaults=defaults)) == [path]


def test_a_handler_that_goes_on_is_a_loop():
    """As in Mistral, it needs a task to start with beside it."""
    tasks = {"h": {"on-success": "b"}, "b": {}}
    assert fault_of(definition_of(tasks, task_defaults={"on-error": "h"}))[0] == "/w/tasks"
    nodes = nodes_of({**tasks, "r": {}}, task_defaults={"on-error": "h"})
    assert edges_of(nodes, "b") == [("on-error", "h")]
    assert nodes["b"].repeats


def test_a_clause_that_leads_nowhere_leaves_them_in_force():
    """A clause of {name: guard} is dropped by Mistral; one that only publishes has no next."""
    for clause in ({"b": "<% $.x %>"}, {"publish": {"branch": {"x": 1}}}):
        nodes = nodes_of({"a": {"on-success": clause}, "b": {}}, task_defaults={"on-success": "noop"})
        assert edges_of(nodes, "a") == [("on-success", "noop")]


def test_what_is_long_in_them_counts_for_every_task(monkeypatch):
    """A short text must not become a huge graph: expressions are kept at each task."""
    monkeypatch.setattr("lazyengine.compilers.workflow.MOST_TRANSITIONS", 20)
    tasks = {"a": None, "b": None}
    for key, value in (("fail-on", "<% {0} %>"), ("on-error", [{"noop": "<% {0} %>"}]), ("retry", "count=1 delay={0}")):
        for length, is_too_long in ((300, False), (900, True)):
            text = json.loads(
                json.dumps(value).replace("{0}", f"<% {'1' * length} %>" if key == "retry" else "1" * length)
            )
            definition = definition_of(tasks, task_defaults={key: text})
            if is_too_long:
                assert "transitions" in fault_of(definition)[1]
            else:
                compiled(definition)
