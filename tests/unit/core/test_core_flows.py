"""Flows: what deciders, failures and controllers come to, step by step.

The oracle of `tests/oracle/flows` compares thousands of random flows; here is why each step is as it is.
"""

import pytest
from driver import CANCELLED, SUCCESS
from flows import FlowDriver, fan, line

from lazyengine.core.graph import Depth
from lazyengine.core.state import ExecutionState, TaskState

CHAIN = line("f", "a", "b", "c")
RETRIED = line("f", "a", line("g", "b", "c", retry="r"), "d")
NESTED = line("f", "a", line("g", "b", line("h", "c", "d", retry="s"), retry="r"))
SIDES = fan("f", line("g", "a", "b", retry="r"), line("h", "c", "d", retry="s"))


# -- forward ----------------------------------------------------------------------------------------------------------


def test_gates_end_by_themselves_and_a_flow_succeeds():
    driver = FlowDriver(line("f", fan("g", "a", "b"), "c")).start()
    assert driver.under_way() == "a b"
    assert driver.run("a", "b").under_way() == "c"
    assert driver.run("c").state is ExecutionState.SUCCESS


def test_a_controller_runs_before_its_flow():
    driver = FlowDriver(RETRIED).start().run("a")
    assert driver.under_way() == "r"
    assert driver.run("r").under_way() == "b"


@pytest.mark.parametrize(
    ("depth", "states", "next"),
    [
        (Depth.ALL, "IGNORE IGNORE IGNORE IGNORE", ""),
        (Depth.FLOW, "IGNORE IGNORE IGNORE PENDING", "e"),
        (Depth.NEIGHBORS, "IGNORE IGNORE PENDING PENDING", "d"),
        (Depth.ATOM, "IGNORE PENDING PENDING PENDING", "c"),
    ],
)
def test_what_is_ignored_behind_a_decider(depth, states, next):
    """FLOW goes through tasks only; whatever is ignored passes its turn on."""
    flow = line("f", "a", "b", "c", "d", line("g", "e"))
    driver = FlowDriver(flow, doubts={"b": (depth,)}).start().run("a")
    assert driver.state_of("b", "c", "d", "e").replace("RUNNING", "PENDING") == states
    assert driver.under_way() == next
    assert driver.run(*filter(None, [next]), *{"c": "de", "d": "e"}.get(next, "")).state is ExecutionState.SUCCESS


def test_the_widest_no_wins_and_a_yes_counts_for_nothing():
    doubts = {"b": (Depth.ATOM, Depth.FLOW, Depth.ALL)}
    driver = FlowDriver(CHAIN, against=[Depth.ATOM, Depth.FLOW], doubts=doubts).start().run("a")
    assert driver.state_of("b", "c") == "IGNORE IGNORE"
    assert FlowDriver(CHAIN, against=[], doubts=doubts).start().run("a").under_way() == "b"


def test_neighbours_are_tasks():
    """A flow behind it is not ignored with it, nor its controller."""
    flow = line("f", "a", "b", line("g", "c", retry="r"))
    driver = FlowDriver(flow, doubts={"b": (Depth.NEIGHBORS,)}).start().run("a")
    assert driver.under_way() == "r"


def test_what_is_ignored_together_is_reached_once():
    """Several ways lead to it; ignoring is told along each edge once a wave."""
    flow = line("f", "a", fan("g", "b", "c", "d"), "e")
    driver = FlowDriver(flow, doubts={"a": (Depth.ALL,)}).start()
    assert driver.state is ExecutionState.SUCCESS
    assert driver.header.ignored == 5


# -- a failure --------------------------------------------------------------------------------------------------------


def test_without_a_controller_everything_is_reverted_in_reverse_order():
    driver = FlowDriver(CHAIN).start().run("a", "b", "!c")
    for name in "cba":
        assert driver.under_way() == f"-{name}"
        driver.run(name)
    assert driver.state is ExecutionState.REVERTED
    assert driver.state_of("a", "b", "c") == "REVERTED REVERTED REVERTED"


def test_a_revert_is_an_attempt_of_its_own():
    driver = FlowDriver(CHAIN).start().run("!a")
    assert (driver.task("a").state, driver.task("a").attempt) == (TaskState.REVERTING, 2)


def test_what_runs_ends_first_and_then_reverts_itself():
    driver = FlowDriver(fan("f", "a", "b")).start().run("!a")
    assert driver.under_way() == "-a b"
    assert driver.run("b").under_way() == "-a -b"
    assert driver.run("a", "b").state is ExecutionState.REVERTED


def test_revert_takes_the_innermost_region_and_leaves_the_rest():
    driver = FlowDriver(RETRIED).start().run("a", "r", "!b", "b")
    assert driver.under_way() == "-r"
    assert driver.run("r").state is ExecutionState.REVERTED
    assert driver.state_of("a", "r", "b", "c", "d") == "SUCCESS REVERTED REVERTED PENDING PENDING"


def test_retry_runs_the_region_again_as_new():
    driver = FlowDriver(RETRIED, r="RETRY").start().run("a", "r", "b", "!c", "c")
    assert driver.under_way() == "-b"
    driver.run("b")
    assert driver.under_way() == "r", "the controller is not reverted"
    assert driver.state_of("b", "c") == "PENDING PENDING"
    assert driver.run("r", "b", "c", "d").state is ExecutionState.SUCCESS
    assert driver.task("b").attempt == 3, "numbers of attempts go on"


def test_revert_all_takes_everything():
    driver = FlowDriver(RETRIED, r="REVERT_ALL").start().run("a", "r", "!b", "b", "r")
    assert driver.under_way() == "-a"
    assert driver.run("a").state is ExecutionState.REVERTED


@pytest.mark.parametrize(
    ("inner", "outer", "last"),
    [("REVERT", "RETRY", "c b"), ("REVERT", "REVERT", "c s"), ("REVERT", "REVERT_ALL", "c s b r a")],
)
def test_those_around_may_want_more_than_revert(inner, outer, last):
    driver = FlowDriver(NESTED, s=inner, r=outer).start().run("a", "r", "b", "s", "!c")
    assert driver.host.asked == [("s", "c"), ("r", "s")], "to the outer controller it is the failure of the inner one"
    driver.run(*{"RETRY": "csb", "REVERT": "cs", "REVERT_ALL": "csbra"}[outer])
    assert driver.under_way() == ("r" if outer == "RETRY" else "")


def test_a_controller_that_fails_is_a_failure_for_those_around_it():
    driver = FlowDriver(NESTED, r="RETRY").start().run("a", "r", "b", "!s")
    assert driver.host.asked == [("r", "s")]
    assert driver.under_way() == "-s"


# -- regions and regions ----------------------------------------------------------------------------------------------


def test_regions_side_by_side_know_nothing_of_each_other():
    driver = FlowDriver(SIDES, r="RETRY").start().run("r", "s", "!a", "c")
    assert driver.under_way() == "-a d"
    assert driver.run("a", "r", "d", "a", "b").state is ExecutionState.SUCCESS


def test_a_larger_region_takes_the_place_of_a_smaller_one():
    """The controller that was to run its region again is reverted; what is undone already is not undone again."""
    flow = line("f", fan("g", line("h", "a", "b", retry="r"), "c"))
    driver = FlowDriver(flow, r="RETRY").start().run("r", "a", "!b", "b")
    assert driver.under_way() == "-a c"
    driver.run("!c", "c", "a")
    assert driver.under_way() == "-r"
    assert driver.run("r").state is ExecutionState.REVERTED


def test_a_larger_region_opens_over_one_that_is_reverted():
    flow = line("f", fan("g", line("h", "a", retry="s"), "c", retry="r"))
    driver = FlowDriver(flow, r="REVERT RETRY").start().run("r", "s", "!a", "a", "s", "!c")
    assert driver.header.reverted == 0, "the region that was given up runs again with the one around it"
    assert driver.run("c", "r", "s", "a", "c").state is ExecutionState.SUCCESS


def test_a_smaller_region_adds_nothing_to_a_larger_one():
    flow = line("f", fan("g", line("h", "a", retry="s"), "c"))
    driver = FlowDriver(flow, s="RETRY").start().run("s", "!c", "!a", "a")
    assert driver.under_way() == "-s -c"
    assert driver.run("s", "c").state is ExecutionState.REVERTED


def test_a_controller_may_change_its_mind_for_the_worse():
    flow = fan("f", "a", "b", retry="r")
    driver = FlowDriver(flow, r="RETRY REVERT").start().run("r", "!a", "!b", "a", "b")
    assert driver.under_way() == "-r"
    driver = FlowDriver(flow, r="REVERT RETRY").start().run("r", "!a", "!b", "a", "b")
    assert driver.under_way() == "-r"


def test_two_failures_in_one_wave_open_one_region():
    """They are known at once where nothing has to be handed out; the second finds that it counts already."""
    driver = FlowDriver(fan("f", "a", "b"), failing="ab").start()
    assert driver.under_way() == "-a -b"
    assert driver.run("a", "b").state is ExecutionState.REVERTED


def test_a_region_that_was_to_run_again_is_overtaken_by_a_larger_one():
    """Both are known in one wave, and the larger one is opened first."""
    flow = fan("f", line("g", "a", retry="r"), line("h", "b", "c"))
    driver = FlowDriver(flow, r="RETRY", failing="c").start().run("r", "!a").suspend().run("a", "b").resume()
    assert driver.under_way() == "-r -c"


def test_a_region_that_runs_again_counts_its_links_anew():
    """One side had come to the end of the flow before the other failed."""
    driver = FlowDriver(fan("f", "a", "b", retry="r"), r="RETRY").start().run("r", "a", "!b", "a", "b", "r", "b")
    assert driver.under_way() == "a"
    assert driver.run("a").state is ExecutionState.SUCCESS


# -- what is ignored --------------------------------------------------------------------------------------------------


def test_what_was_passed_over_is_undone_without_a_revert():
    driver = FlowDriver(CHAIN, doubts={"b": (Depth.ATOM,)}).start().run("a", "!c", "c")
    assert driver.under_way() == "-a"
    assert driver.run("a").state_of("b") == "IGNORE"


def test_a_region_that_runs_again_asks_again_what_it_had_ignored():
    flow = line("f", "a", "b", "c", retry="r")
    driver = FlowDriver(flow, doubts={"b": (Depth.ATOM,)}, r="RETRY").start().run("r", "a", "!c", "c", "a")
    driver.host.against = set()
    assert driver.run("r", "a").under_way() == "b"


def test_what_is_ignored_behind_a_region_is_not_ignored_any_more_when_that_runs_again():
    """Even where another decider had said so, as TaskFlow's `retry_subflow` has it."""
    flow = line("f", fan("g", line("h", "a", retry="r"), line("i", "b", "c")), "d")
    driver = FlowDriver(flow, doubts={"c": (Depth.ALL,)}, r="RETRY").start().run("r", "b")
    assert driver.state_of("c", "d") == "IGNORE IGNORE"
    assert driver.run("!a", "a", "r", "a").under_way() == "d"
    assert driver.state_of("c") == "IGNORE"


def test_an_ignored_task_that_has_not_had_its_turn_has_nothing_to_undo():
    flow = line("f", fan("g", "a", line("i", "b", "c")), "d")
    driver = FlowDriver(flow, doubts={"c": (Depth.ALL,)}).start().run("b", "!a", "a", "b")
    assert (driver.state, driver.state_of("d")) == (ExecutionState.REVERTED, "IGNORE")


# -- suspended, broken ------------------------------------------------------------------------------------------------


def test_suspended_on_the_way_back():
    driver = FlowDriver(CHAIN).start().run("a", "b", "!c").suspend().run("c")
    assert (driver.state, driver.under_way()) == (ExecutionState.SUSPENDED, "")
    assert driver.resume().under_way() == "-b"


def test_a_region_calls_off_what_was_put_off():
    """What ended while it was suspended is undone, and does not lead on."""
    driver = FlowDriver(fan("f", line("g", "a", "b"), "c")).start().suspend().run("a", "!c").resume()
    assert driver.under_way() == "-a -c"


def test_the_way_back_in_small_steps():
    """With a budget of one the backlog carries on in further transactions."""
    driver = FlowDriver(RETRIED, budget=1, r="RETRY").start().run("a", "r", "b", "!c", "c", "b", "r", "b", "c", "d")
    assert driver.state is ExecutionState.SUCCESS


@pytest.mark.parametrize("outcome", ["!b", CANCELLED])
def test_a_revert_that_fails_breaks_the_flow(outcome):
    """What is under way may end; nothing else begins."""
    driver = FlowDriver(fan("f", line("g", "a", "b", "c"), "d", "e")).start().run("a", "!b")
    assert driver.under_way() == "-b d e"
    driver.run("!b") if outcome == "!b" else driver.complete("b", outcome)
    assert driver.run("d", "!e").state is ExecutionState.FAILURE
    assert driver.state_of("a", "b", "d", "e") == "SUCCESS REVERT_FAILURE SUCCESS FAILURE"
    assert "'b' could not be reverted" in driver.header.info


def test_a_broken_flow_begins_nothing_more():
    flow = line("f", "a", fan("g", "b", "c"))
    driver = FlowDriver(flow, refused={"b": "run"}).start().run("a")
    assert (driver.state, driver.state_of("b", "c")) == (ExecutionState.FAILURE, "FAILURE PENDING")


@pytest.mark.parametrize(
    ("refused", "ended"),
    [({"c": "decide"}, "arb"), ({"r": "strategy"}, ["a", "r", "!b"]), ({"b": "revert"}, ["a", "r", "!b"])],
)
def test_what_cannot_be_asked_or_begun_breaks_the_flow(refused, ended):
    driver = FlowDriver(RETRIED, refused=refused, doubts={"c": (Depth.ALL,)}).start().run(*ended)
    assert driver.state is ExecutionState.FAILURE
    assert f"no {next(iter(refused.values()))}" in driver.header.info


def test_a_cancelled_task_leads_nowhere_and_is_not_reverted():
    driver = FlowDriver(fan("f", "a", "b")).start().complete("a", CANCELLED).run("!b", "b")
    assert (driver.state, driver.state_of("a")) == (ExecutionState.CANCELLED, "CANCELLED")


def test_a_completion_costs_what_stands_right_behind_it():
    """However many stand side by side, and on the way back too once the region is open."""
    names = [f"t{number}" for number in range(300)]
    driver = FlowDriver(fan("f", *names, "x")).start()
    driver.complete("t0", SUCCESS)
    assert max(driver.reach.calls) == 1
    driver.run("!x")
    driver.complete("t0", SUCCESS)
    assert max(driver.reach.calls) == 1
