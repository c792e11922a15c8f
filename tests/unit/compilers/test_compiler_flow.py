"""TaskFlow flows become nodes: ids are ranges, gates stand around flows, deciders are found at what they stop."""

import pytest
from taskflow import exceptions as exc
from taskflow import retry, task
from taskflow.patterns import graph_flow, linear_flow, unordered_flow

from lazyengine import errors
from lazyengine.compilers.flow import compile_flow
from lazyengine.core.graph import Decider, Depth, Kind


class Work(task.Task):
    def execute(self) -> None: ...


def test_a_region_is_a_range_of_ids_that_begins_with_its_controller():
    inner = linear_flow.Flow("g", retry.Times(2, "r")).add(Work("b"), unordered_flow.Flow("h").add(Work("c")))
    nodes = compile_flow(linear_flow.Flow("f").add(Work("a"), inner, Work("d"))).nodes
    assert [node.name for node in nodes] == [
        "f:0",
        "a",
        "g:2",
        "r",
        "b",
        "h:5",
        "c",
        "h[$]:7",
        "g[$]:8",
        "d",
        "f[$]:10",
    ]
    assert [node.kind.value[0] for node in nodes] == list("gtgrtgtggtg")
    assert [node.controllers for node in nodes] == [*[(0,)] * 4, *[(3, 0)] * 5, (0,), (0,)]
    assert {node.id: node.region for node in nodes if node.region is not None} == {0: 10, 3: 8}


def test_every_node_joins_all_its_links():
    nodes = compile_flow(unordered_flow.Flow("f").add(Work("a"), Work("b"))).nodes
    assert [(node.join, node.indegree, len(node.edges)) for node in nodes] == [
        (None, 0, 2), (1, 1, 1), (1, 1, 1), (2, 2, 0),
    ]  # fmt: skip


def test_deciders_are_found_through_the_flows_that_begin_with_an_atom():
    """One at a flow is asked before what the flow begins with: its tasks, or its controller."""
    a, plain, controlled = Work("a"), linear_flow.Flow("g"), linear_flow.Flow("h", retry.Times(1, "r"))
    flow = graph_flow.Flow("f").add(a, plain.add(Work("b"), Work("c")), controlled.add(Work("d")))
    for inner in (plain, controlled):
        flow.link(a, inner, decider=lambda history: True, decider_depth=None if inner is plain else "flow")
    compiled = compile_flow(flow)
    found = {node.name: node.deciders for node in compiled.nodes if node.deciders}
    ids = {node.name.partition(":")[0]: node.id for node in reversed(compiled.nodes)}
    assert found == {
        "b": (Decider((ids["a"], ids["g"]), Depth.ALL),),
        "r": (Decider((ids["a"], ids["h"]), Depth.FLOW),),
    }
    assert compiled.questions.keys() == {(ids["a"], ids["g"]), (ids["a"], ids["h"])}


def test_a_task_alone_is_a_region_of_its_own():
    (node,) = compile_flow(Work("a")).nodes
    assert (node.kind, node.controllers, node.region) == (Kind.TASK, (0,), 0)


def test_names_are_unique():
    with pytest.raises(exc.Duplicate, match="a"):
        compile_flow(linear_flow.Flow("f").add(Work("a"), Work("a")))


def test_what_is_no_flow():
    with pytest.raises(TypeError):
        compile_flow("f")


def test_names_that_cannot_be_stored():
    """All of them are named at once; a flow within another may have a long one."""
    flow = linear_flow.Flow("f").add(Work("n" * 256), linear_flow.Flow("g" * 300).add(Work("\0")))
    with pytest.raises(errors.DefinitionInvalid) as raised:
        compile_flow(flow)
    assert [fault.path for fault in raised.value.faults] == ["/" + "n" * 256, "/\0"]
