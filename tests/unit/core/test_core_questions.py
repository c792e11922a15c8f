"""Questions about flows that somebody else has to answer: of deciders, and of controllers about a failure.

Asked at once or answered later, a flow comes to the same; `tests/oracle/flows` compares random ones with TaskFlow.
"""

import pytest
from driver import CANCELLED
from flows import FlowDriver, fan, line

from lazyengine.core.graph import Depth
from lazyengine.core.state import ExecutionState, TaskState

CHAIN = line("f", "a", "b", "c")
DOUBT = {"b": (Depth.ATOM,)}
RETRIED = line("f", "a", line("g", fan("h", "b", "c"), retry="r"), "d")
NESTED = line("f", line("g", "b", line("h", "c", "d", retry="s"), retry="r"))


# -- deciders ---------------------------------------------------------------------------------------------------------


def test_a_question_is_an_attempt_of_its_own_before_the_node_runs():
    driver = FlowDriver(CHAIN, doubts=DOUBT, elsewhere="b").start().run("a")
    assert (driver.under_way(), driver.task("b").attempt) == ("?b", 1)
    driver.answer("b", ())
    assert (driver.under_way(), driver.task("b").attempt) == ("b", 2)
    assert driver.run("b", "c").state is ExecutionState.SUCCESS


@pytest.mark.parametrize(("depth", "next"), [(Depth.ATOM, "c"), (Depth.ALL, "")])
def test_a_no_is_as_deep_as_its_decider_says(depth, next):
    driver = FlowDriver(CHAIN, doubts={"b": (depth,)}, elsewhere="b").start().run("a").answer("b", [depth])
    assert (driver.state_of("b"), driver.under_way()) == ("IGNORE", next)


def test_an_answer_while_suspended_waits():
    driver = FlowDriver(CHAIN, doubts=DOUBT, elsewhere="b").start().run("a")
    driver.suspend()
    assert driver.state is ExecutionState.SUSPENDING, "a question is under way"
    driver.answer("b", ())
    assert (driver.state, driver.under_way()) == (ExecutionState.SUSPENDED, "")
    assert driver.resume().under_way() == "b"


def test_what_is_reverted_meanwhile_does_not_begin():
    """The region waits for the answer, and undoes what it was asked about without a revert."""
    flow = fan("f", line("g", "a", "b"), "c")
    driver = FlowDriver(flow, doubts=DOUBT, elsewhere="b").start().run("a", "!c", "c")
    assert driver.under_way() == "?b"
    driver.answer("b", ())
    assert (driver.under_way(), driver.state_of("b")) == ("-a", "PENDING")
    assert driver.run("a").state is ExecutionState.REVERTED


@pytest.mark.parametrize("refused", [{"b": "ask"}, {}])
def test_deciders_that_cannot_be_asked_break_the_flow(refused):
    driver = FlowDriver(CHAIN, doubts=DOUBT, elsewhere="b", refused=refused).start().run("a")
    if not refused:
        driver.run("!b")
    assert driver.state is ExecutionState.FAILURE
    assert driver.state_of("a", "b") == "SUCCESS PENDING", "nothing is reverted"


# -- controllers ------------------------------------------------------------------------------------------------------


def test_a_failure_waits_for_the_answer_of_its_controller():
    driver = FlowDriver(RETRIED, elsewhere="r").start().run("a", "r", "!b")
    assert driver.under_way() == "?r c"
    driver.answer("r", "RETRY")
    assert driver.under_way() == "-b c"
    assert driver.run("b", "c", "c").under_way() == "r"
    assert driver.run("r", "b", "c", "d").state is ExecutionState.SUCCESS


def test_a_controller_is_asked_about_one_failure_after_the_other():
    """What fails meanwhile is not undone before it was its turn; the answer to it may be a change of mind."""
    driver = FlowDriver(RETRIED, elsewhere="r").start().run("a", "r", "!b", "!c")
    assert (driver.under_way(), driver.task("r").asks) == ("?r", driver.ids["b"])
    driver.answer("r", "RETRY")
    assert driver.under_way() == "?r -b", "the region is open, and waits for the second answer"
    assert driver.run("b").under_way() == "?r"
    driver.answer("r", "REVERT")
    assert driver.under_way() == "-c"
    assert driver.run("c", "r").state is ExecutionState.REVERTED
    assert driver.state_of("a", "r", "b", "c") == "SUCCESS REVERTED REVERTED REVERTED"


@pytest.mark.parametrize(("outer", "end"), [("REVERT", "c s"), ("RETRY", "c s b"), ("REVERT_ALL", "c s b r")])
def test_those_around_are_asked_after_revert(outer, end):
    driver = FlowDriver(NESTED, elsewhere="rs").start().run("r", "b", "s", "!c")
    assert driver.answer("s", "REVERT").under_way() == "?r"
    driver.answer("r", outer)
    assert driver.run(*end.split()).under_way() == ("r" if outer == "RETRY" else "")


def test_a_larger_region_waits_for_an_answer_about_a_failure_in_it():
    flow = fan("f", line("g", "a", retry="r"), "b")
    driver = FlowDriver(flow, elsewhere="r").start().run("r", "!a", "!b", "b")
    assert driver.under_way() == "?r"
    assert driver.answer("r", "RETRY").under_way() == "-a"
    assert driver.run("a", "r").state is ExecutionState.REVERTED


@pytest.mark.parametrize("how", ["cannot be asked", "raises", "is given up"])
def test_a_controller_that_does_not_answer_breaks_the_flow(how):
    refused = {"r": "ask"} if how == "cannot be asked" else {}
    driver = FlowDriver(RETRIED, elsewhere="r", refused=refused).start().run("a", "r", "c", "!b")
    if how == "raises":
        driver.run("!r")
    if how == "is given up":
        driver.complete("r", CANCELLED)
    assert driver.state is ExecutionState.FAILURE
    assert driver.task("r").state is TaskState.SUCCESS
