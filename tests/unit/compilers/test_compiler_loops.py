"""Loops: who repeats, what is known of a loop, and who has to be told of its end."""

from compiling import compiled, definition_of, edges_of, fault_of, nodes_of

from lazyengine.core.graph import Loop

GUARD = "<% $.x %>"


def chain(*names, **more):
    """Tasks that each lead to the next one; `more` are those in it that differ."""
    tasks = {name: {"on-success": [after]} for name, after in zip(names, [*names[1:], None], strict=True) if after}
    return {**tasks, names[-1]: {}, **{name: {**tasks.get(name, {}), **spec} for name, spec in more.items()}}


def test_what_is_in_a_loop_and_what_it_leads_to_repeats():
    graph, nodes = compiled(definition_of(chain("r", "a", "b", "c", "d", c={"on-success": [{"a": GUARD}, "d"]})))
    assert graph.roots == (0,)
    assert [name for name, node in nodes.items() if node.repeats] == ["a", "b", "c", "d"]
    assert edges_of(nodes, "c") == [("on-success", "a"), ("on-success", "d")]


def test_a_task_may_lead_to_itself():
    nodes = nodes_of(chain("r", "a", a={"on-error": "a"}))
    assert (nodes["a"].repeats, nodes["a"].indegree, nodes["r"].repeats) == (True, 2, False)


def test_where_nobody_joins_nothing_has_to_be_told():
    """So a loop costs no more than its runs."""
    for node in nodes_of(chain("r", "a", "b", "c", b={"on-success": ["a", "c"]})).values():
        assert (node.heeds, node.joins, node.beyond, node.loop, node.loop_facts) == ((), frozenset(), {}, None, None)


def test_a_join_behind_a_loop_is_told_when_the_loop_has_ended():
    """Those in it say nothing of their own; who leads into it tells the first of it as if that joined."""
    tasks = chain("r", "b", "a", "j", "z", r={"on-success": ["b", "z"]}, a={"on-error": "b"}, z={"on-success": "j"})
    nodes = nodes_of({**tasks, "j": {"join": "all"}})
    assert nodes["j"].join == 2
    assert not nodes["j"].repeats
    facts = {name: (node.heeds, node.joins, node.beyond, node.loop) for name, node in nodes.items()}
    assert facts == {
        "r": ((1, 4), frozenset(), {4: (3,)}, None),
        "b": ((), frozenset(), {}, 1),
        "a": ((), frozenset({3}), {}, 1),
        "j": ((), frozenset(), {}, None),
        "z": ((3,), frozenset({3}), {}, None),
    }
    assert [node.loop_facts for node in nodes.values()] == [None, Loop(1, (), ((2, 3),)), None, None, None]


def test_a_join_in_a_loop_runs_again():
    tasks = chain("r", "j", "a", r={"on-success": ["j", "a"]}, a={"on-success": "j"}, j={"join": "all"})
    nodes = nodes_of(tasks)
    assert (nodes["j"].join, nodes["j"].indegree, nodes["j"].repeats) == (2, 2, True)
    assert nodes["j"].loop_facts == Loop(2, (1,), ())
    assert nodes["r"].heeds == (1, 2)
    assert [nodes[name].loop for name in tasks] == [None, 1, 1]
    assert [nodes[name].joins for name in tasks] == [frozenset(), frozenset(), frozenset()]


def test_a_join_in_a_loop_hears_of_every_run():
    """And of the end of what leads into it from outside: that is no join that hears once."""
    tasks = chain("r", "a", "j", a={"on-error": "a"}, j={"join": "all", "on-error": "j"})
    nodes = nodes_of(tasks)
    assert nodes["a"].loop_facts == Loop(1, (), ((1, 2),))
    assert (nodes["a"].joins, nodes["j"].loop_facts) == (frozenset(), Loop(1, (2,), ()))


def test_a_join_that_leads_to_itself_counts_itself():
    nodes = nodes_of({"r": {"on-success": "j"}, "j": {"join": "all", "on-error": "j"}})
    assert (nodes["j"].join, nodes["j"].loop_facts) == (2, Loop(1, (1,), ()))


def test_loops_behind_one_another():
    """The first has to tell the second, as there is a join behind it; nobody is told of the third."""
    tasks = chain("r", "a", "b", "j", "c", "d", a={"on-error": ["a"]}, b={"on-error": "b"}, c={"on-error": "c"})
    nodes = nodes_of({**tasks, "j": {**tasks["j"], "join": 1}})
    assert [node.loop for node in nodes.values()] == [None, 1, 2, None, None, None]
    assert nodes["a"].loop_facts == Loop(1, (), ((1, 2),))
    assert nodes["b"].loop_facts == Loop(1, (), ((2, 3),))
    assert [name for name, node in nodes.items() if node.repeats] == ["a", "b", "c", "d"]


def test_a_way_past_nodes_that_count_nothing_ends_at_a_loop():
    tasks = chain("r", "p", "q", "a", "j", r={"on-success": [{"p": GUARD}]}, a={"on-error": "a"})
    nodes = nodes_of({**tasks, "j": {"join": 1}})
    assert nodes["r"].beyond == {1: (3,)}
    assert nodes["q"].beyond == {}


def test_there_has_to_be_a_task_to_start_with():
    """Mistral: lang/v2/workflows.py, find_start_tasks."""
    for tasks in ({"a": {"on-success": "a"}}, chain("a", "b", b={"on-error": "a"})):
        path, message = fault_of(definition_of(tasks))
        assert (path, "none can be the first" in message) == ("/w/tasks", True)


def test_what_cannot_be_reached_counts_nowhere():
    """Mistral accepts it: nothing can ever come from there, so a join of all that counts on it cannot run."""
    tasks = chain("r", "j", j={"join": "all"}) | chain("x", "y", y={"on-success": ["x", "j", "e"]})
    graph, nodes = compiled(definition_of({**tasks, "e": {}, "s": {"on-success": "e"}}))
    assert graph.roots == (0, 5)
    assert (nodes["j"].join, nodes["j"].indegree) == (2, 1)
    assert (nodes["e"].indegree, nodes["e"].repeats) == (1, False)
    assert (nodes["x"].indegree, nodes["y"].indegree) == (1, 1)


def test_entries_are_links_that_something_can_come_over():
    tasks = chain("r", "a", r={"on-success": "a", "on-error": "a"}, a={"on-error": ["a", "j"]})
    loose = chain("x", "y", y={"on-success": ["x", "a"]})
    nodes = nodes_of({**tasks, **loose, "j": {"join": 1}})
    assert nodes["a"].loop_facts == Loop(1, (), ((1, 4),))
