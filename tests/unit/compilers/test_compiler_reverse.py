"""Reverse workflows (Mistral: lang/v2/workflows.py, ReverseWorkflowSpec; workflow/reverse_workflow.py)."""

import pytest
from compiling import definition_of, fault_of, nodes_of, paths_of

from lazyengine.compilers.workflow import compile_definition, declarations_of
from lazyengine.core.graph import Edge, On
from lazyengine.errors import InputInvalid

TASKS = {"e": {"requires": "d"}, "d": {"requires": ["b", "c"]}, "c": {"requires": "a"}, "a": {}, "b": {}, "x": {}}


def reverse_of(tasks, task_name, **workflow):
    definition = definition_of(tasks, type="reverse", **workflow)
    graph, nodes = compile_definition(definition, None, "", 100, task_name)
    assert [node.id for node in nodes] == list(range(graph.size))
    return graph, {node.name: node for node in nodes}


def test_what_the_target_needs_runs_in_the_order_of_the_definition():
    graph, nodes = reverse_of(TASKS, "d")
    assert list(nodes) == ["d", "c", "a", "b"]
    assert graph.roots == (2, 3)
    assert {name: (node.join, node.indegree, node.ends) for name, node in nodes.items()} == {
        "d": (2, 2, True),
        "c": (1, 1, False),
        "a": (None, 0, False),
        "b": (None, 0, False),
    }
    assert nodes["a"].edges == (Edge(On.SUCCESS, 1),)
    assert nodes["c"].edges == nodes["b"].edges == (Edge(On.SUCCESS, 0),)
    assert nodes["d"].edges == ()


def test_nobody_has_to_know_what_will_not_run():
    """A task whose requirements fail never happens, and fails nobody."""
    for node in reverse_of(TASKS, "e")[1].values():
        assert (node.heeds, node.joins, node.beyond, node.repeats, node.loop) == ((), frozenset(), {}, False, None)


def test_a_target_that_needs_nothing_runs_alone():
    graph, nodes = reverse_of(TASKS, "x")
    assert (list(nodes), graph.roots, graph.size) == (["x"], (0,), 1)


def test_defaults_are_required_beside_what_a_task_requires():
    """And no task requires itself (Mistral: get_task_requires)."""
    tasks = {"a": {"requires": "b"}, "b": {"requires": "b"}, "c": {"requires": ["c"]}}
    _, nodes = reverse_of(tasks, "a", task_defaults={"requires": ["c"], "timeout": 3})
    assert {name: node.indegree for name, node in nodes.items()} == {"a": 2, "b": 1, "c": 0}
    assert nodes["c"].policy.timeout_seconds == 3


def test_the_rest_of_a_task_is_that_of_any():
    tasks = {"a": {"action": "x y=1", "with-items": "i in [1]", "publish": {"p": 1}, "publish-on-error": {"q": 1}}}
    node = reverse_of(tasks, "a")[1]["a"]
    assert (node.action, node.input, node.items) == ("x", {"y": 1}, {"i": [1]})
    assert node.publish == {"SUCCESS": {"branch": {"p": 1}}, "FAILURE": {"branch": {"q": 1}}}


@pytest.mark.parametrize("task_name", [None, "", "nobody", 7, ["a"]])
def test_a_start_without_a_target_is_refused(task_name):
    with pytest.raises(InputInvalid, match="task_name in params has to name the task to reach: one of 'e', 'd', 'c'"):
        reverse_of(TASKS, task_name)


def test_a_reverse_workflow_is_checked_without_a_target():
    definition = {"w": {"type": "reverse", "tasks": TASKS}, "v": {"tasks": {"a": {}}}}
    assert [one.name for one in declarations_of(definition, "", 100)] == ["w", "v"]
    assert len(compile_definition(definition, "v", "", 100)[1]) == 1


def test_a_direct_workflow_has_no_target():
    tasks = {"a": {"on-success": "b"}, "b": {}}
    assert compile_definition(definition_of(tasks), None, "", 100, "b")[1] == list(nodes_of(tasks).values())


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"requires": "nobody"}, "/requires"),
        ({"requires": "noop"}, "/requires"),
        ({"requires": 7}, "/requires"),
        ({"requires": {"b": 1}}, "/requires"),
        ({"requires": ["b", "b"]}, "/requires/1"),
        ({"requires": ["b", 7]}, "/requires/1"),
        ({"requires": ["b", ["c"]]}, "/requires/1"),
        ({"join": "all"}, "/join"),
        ({"on-success": "b"}, "/on-success"),
        ({"on-skip": "b"}, "/on-skip"),
        (7, ""),
    ],
)
def test_what_no_task_of_it_is(spec, path):
    assert paths_of(definition_of({"a": spec, "b": {}}, type="reverse")) == [f"/w/tasks/a{path}"]


@pytest.mark.parametrize(
    ("defaults", "path"), [({"on-error": "a"}, "/on-error"), ({"requires": "x"}, "/requires"), ({"join": 1}, "/join")]
)
def test_faults_of_defaults(defaults, path):
    found = paths_of(definition_of({"a": {}, "b": {}}, type="reverse", task_defaults=defaults))
    assert found == [f"/w/task-defaults{path}"]


def test_tasks_that_require_each_other():
    """Mistral finds that none can start and does nothing."""
    tasks = {"t": {"requires": "a"}, "a": {"requires": "b"}, "b": {"requires": "c"}, "c": {"requires": "a"}}
    path, message = fault_of(definition_of(tasks, type="reverse"))
    assert path == "/w/tasks"
    assert message.startswith("tasks require each other: ")
    assert set(message.split(": ")[1].split(" → ")) == {"a", "b", "c"}


def test_defaults_are_limited_in_number(monkeypatch):
    monkeypatch.setattr("lazyengine.compilers.workflow.MOST_TRANSITIONS", 20)
    tasks = {f"t{number}": None for number in range(10)}
    definition = definition_of(tasks, type="reverse", task_defaults={"requires": ["t0", "t1", "t2"]})
    assert fault_of(definition)[0] == "/w/tasks"
