"""A link that was chosen before a pause is not told a second time behind the back of its node (found by the oracle)."""

from driver import SUCCESS, Driver, compile_nodes
from test_core_beyond import with_beyond


def test_a_link_has_one_verdict_though_a_pause_parts_the_list():
    """`b` was chosen before the pause, so what lies beyond it hears from `b` alone."""
    description = {
        "a": {"on-success": ["b", "pause"]},
        "b": {"on-error": ["j"]},
        "c": {"on-success": ["j"]},
        "d": {"on-success": ["j"]},
        "j": {"join": 2},
    }
    driver = Driver(description, nodes=with_beyond(compile_nodes(description))).start().complete("a").resume()
    assert driver.task("j").dead == 0
    driver.complete("b", SUCCESS).complete("c", SUCCESS).complete("d", SUCCESS)
    assert driver.running() == [("j", 1)]
