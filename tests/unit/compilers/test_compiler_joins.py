"""Joins: how many links, and what cannot be joined (Mistral: lang/v2/workflows.py, _check_join_tasks)."""

import pytest
from compiling import definition_of, fault_of, nodes_of


def two_into(join):
    return {"a": {"on-success": "j"}, "b": {"on-error": "j"}, "j": {"join": join}}


@pytest.mark.parametrize(("join", "links"), [("all", 2), ("one", 1), (1, 1), (2, 2), (0, None), (None, None)])
def test_how_many_links_have_to_be_live(join, links):
    node = nodes_of(two_into(join))["j"]
    assert (node.join, node.indegree, node.repeats) == (links, 2, links is None)


@pytest.mark.parametrize("join", [3, 100_000])
def test_a_join_of_more_than_there_are(join):
    assert fault_of(definition_of(two_into(join))) == ("/w/tasks/j/join", f"joins {join}, but 2 tasks lead here")


@pytest.mark.parametrize("join", [-1, 2.0, 1.5, True, "", "All", "2", [], {}, 100_001, 10**4000])
def test_what_is_no_join(join):
    path, message = fault_of(definition_of(two_into(join)))
    assert path == "/w/tasks/j/join"
    assert message.startswith("join is all, one or a number of tasks, not ")
    assert len(message) < 100


@pytest.mark.parametrize("join", ["all", "one", 1])
def test_a_join_that_nothing_leads_to(join):
    assert "but 0 tasks lead here" in fault_of(definition_of({"a": {"join": join}}))[1]


def test_a_task_in_two_clauses_is_one_link():
    """Mistral counts the names of inbound tasks, not clauses."""
    nodes = nodes_of({"a": {"on-success": "j", "on-complete": "j"}, "j": {"join": "all"}})
    assert (nodes["j"].join, nodes["j"].repeats) == (1, False)


def test_task_defaults_lead_to_joins_too():
    nodes = nodes_of({"a": {}, "b": {}, "j": {"join": "all"}}, task_defaults={"on-complete": "j"})
    assert (nodes["j"].join, nodes["a"].joins, nodes["j"].edges) == (2, {2}, ())


def test_the_root_of_a_graph_of_a_diamond():
    nodes = nodes_of(
        {"d": {"join": "all"}, "b": {"on-success": "d"}, "c": {"on-success": "d"}, "a": {"on-success": ["b", "c"]}}
    )
    assert [node.name for node in nodes.values() if not node.indegree] == ["a"]
    assert nodes["a"].heeds == (1, 2)
    assert not nodes["a"].joins
    assert nodes["b"].heeds == (0,)
    assert nodes["b"].joins == {0}
