"""Passing over nodes that count nothing on the way to a lost join changes nothing but the number of waves."""

from dataclasses import replace

from driver import FAILURE, SUCCESS, Driver, compile_nodes
from hypothesis import given
from test_core_random_graphs import GUARDS, PROFILE, descriptions, plans, play

from lazyengine.core.graph import Node


def with_beyond(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Fill in `beyond` by its definition: whom a node that counts nothing would tell, were it told itself."""

    def lost(node: Node) -> tuple[int, ...]:
        if node.counts:
            return (node.id,)
        return tuple(further for target in node.heeds for further in lost(nodes[target]))

    return tuple(
        replace(node, beyond={target: found for target in node.heeds if (found := lost(nodes[target])) != (target,)})
        for node in nodes
    )


def test_a_lost_branch_is_passed_over():
    """The join at the end of a chain that was not chosen is told in the first wave."""
    description = {
        "a": {"on-error": ["b"]},
        "b": {"on-success": ["c"]},
        "c": {"on-success": ["j"]},
        "d": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    nodes = with_beyond(compile_nodes(description))
    assert nodes[0].beyond == {1: (4,)}
    driver = Driver(description, nodes=nodes).start().complete("d", SUCCESS).complete("a", SUCCESS)
    assert driver.task("j").state == "FAILURE"
    driver = Driver(description, nodes=nodes).start().complete("d", SUCCESS).complete("a", FAILURE)
    assert driver.task("j").state == "PENDING"
    assert driver.running() == [("b", 1)]


@PROFILE
@given(descriptions(), plans())
def test_every_end_is_the_same(description, plan):
    """Random graphs end alike with and without it, in as many history rows."""
    nodes = with_beyond(compile_nodes(description))
    long = play(Driver(description, guards=GUARDS), plan)
    short = play(Driver(description, guards=GUARDS, nodes=nodes), plan)
    assert (short.states(), short.state, len(short.events)) == (long.states(), long.state, len(long.events))
