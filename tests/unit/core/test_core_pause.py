"""The command pause, and suspending and resuming from outside (Mistral's facts by name)."""

from driver import FAILURE, Driver

from lazyengine.core.state import ExecutionState, Intent, TaskState


def test_cmd_pause_backlog():
    """cmd-pause-backlog: what stands before pause runs now; what stands after it is kept and runs at resume."""
    driver = Driver({"a": {"on-success": ["b", "pause", "c"]}, "b": {}, "c": {}}).start().complete("a")
    assert driver.state is ExecutionState.SUSPENDING
    assert driver.running() == [("b", 1)]
    assert (driver.task("a").intent, driver.task("a").told) == (Intent.TELL, 2)
    driver.complete("b")
    assert driver.state is ExecutionState.SUSPENDED
    driver.resume()
    assert driver.running() == [("c", 1)]
    driver.complete("c")
    assert driver.state is ExecutionState.SUCCESS


def test_pause_says_who_or_why():
    said = Driver({"a": {"on-success": [{"to": "pause", "message": "look first"}]}}).start().complete("a")
    silent = Driver({"a": {"on-success": ["pause"]}}).start().complete("a")
    assert (said.state, said.header.info) == (ExecutionState.SUSPENDED, "look first")
    assert (silent.state, silent.header.info) == (ExecutionState.SUSPENDED, "Paused by task 'a'")


def test_every_pause_of_a_list_pauses():
    """A list goes on at each resume up to its next pause; a task named before and after one runs for both."""
    driver = Driver({"a": {"on-success": ["b", "pause", "pause", "b"]}, "b": {}}).start().complete("a").complete("b")
    assert driver.state is ExecutionState.SUSPENDED
    driver.resume()
    assert driver.state is ExecutionState.SUSPENDED
    driver.resume()
    assert driver.running() == [("b", 2)]
    driver.complete("b", iteration=2)
    assert driver.state is ExecutionState.SUCCESS


def test_a_join_named_before_and_after_a_pause_hears_once():
    """The link to a join brings one verdict, whatever pause stands between its edges; the other link still counts."""
    description = {"a": {"on-success": ["j", "pause", "j"]}, "b": {"on-success": ["j"]}, "j": {"join": "all"}}
    driver = Driver(description).start().complete("a").resume()
    assert driver.task("j").live == 1
    driver.complete("b").complete("j")
    assert driver.state is ExecutionState.SUCCESS


def test_a_link_is_not_lost_at_a_pause():
    """A join hears that it was not chosen only when the whole list has been told."""
    description = {
        "a": {"on-success": ["pause", "noop"], "on-error": ["j"]},
        "b": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("b").complete("a")
    assert driver.task("j").state is TaskState.PENDING
    driver.resume()
    assert driver.task("j").state is TaskState.FAILURE


def test_cmd_pause_then_error():
    """cmd-pause-then-error: pause does not hide an unhandled error; after resume the execution fails."""
    driver = Driver({"a": {"on-complete": ["pause"]}}).start().complete("a", FAILURE)
    assert driver.state is ExecutionState.SUSPENDED
    driver.resume()
    assert driver.state is ExecutionState.FAILURE
    assert driver.header.unhandled == 1


def test_pause_in_on_error_handles_the_error():
    """A pause in on-error is a command produced by on-error: it handles the error, also with nothing after it."""
    driver = Driver({"a": {"on-error": ["pause"], "on-complete": ["noop"]}}).start().complete("a", FAILURE).resume()
    assert driver.state is ExecutionState.SUCCESS


def test_pause_running_goes_on():
    """pause-running-goes-on: a running task may end while suspended; its successors start only at resume."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().suspend()
    assert driver.state is ExecutionState.SUSPENDING
    driver.complete("a")
    assert driver.state is ExecutionState.SUSPENDED
    assert driver.task("a").state is TaskState.SUCCESS
    assert driver.task("b").state is TaskState.PENDING
    driver.resume()
    assert driver.running() == [("b", 1)]


def test_pause_command_ignored_on_resume():
    """pause-command-ignored-on-resume: a pause of a task that ended while suspended is passed over at resume."""
    driver = Driver({"a": {"on-success": ["pause", "b"]}, "b": {}}).start().suspend().complete("a").resume()
    assert driver.state is ExecutionState.RUNNING
    assert driver.running() == [("b", 1)]


def test_resumed_before_it_came_to_rest():
    """A suspension that is taken back while tasks are still out leaves no trace."""
    driver = Driver({"a": {"on-success": ["b"]}, "b": {}}).start().suspend().resume()
    assert driver.state is ExecutionState.RUNNING
    assert driver.complete("a").running() == [("b", 1)]


def test_suspended_with_nothing_left_ends_at_resume():
    """Suspended executions do not end: success or failure is declared at resume."""
    driver = Driver({"a": {}, "b": {}}).start().suspend().complete("a").complete("b", FAILURE)
    assert driver.state is ExecutionState.SUSPENDED
    assert driver.resume().state is ExecutionState.FAILURE


def test_a_pause_at_resume_keeps_the_rest_of_the_backlog():
    """The backlog is told in the order of ending, up to a pause that was cut off by another; the rest waits on."""
    description = {"a": {"on-success": ["pause", "pause"]}, "b": {"on-success": ["c"]}, "c": {}}
    driver = Driver(description).start().complete("a").complete("b")
    assert driver.header.backlog == 2
    driver.resume()
    assert driver.state is ExecutionState.SUSPENDED
    assert driver.header.backlog == 2
    assert driver.resume().running() == [("c", 1)]


def test_an_end_at_resume_drops_the_rest_of_the_backlog():
    """Of two tasks that ended while suspended, the first fails the execution: the second is not told any more."""
    description = {"a": {"on-success": ["fail"]}, "b": {"on-success": ["c"]}, "c": {}}
    driver = Driver(description).start().suspend().complete("a").complete("b").resume()
    assert driver.state is ExecutionState.FAILURE
    assert driver.task("c").state is TaskState.PENDING
    assert driver.header.backlog == 1


def test_what_a_pause_let_start_can_end_by_itself():
    """A pure action before pause ends at once but tells at resume; a dead branch is told then, too."""
    description = {
        "a": {"on-success": ["p", "pause"]},
        "p": {"action": "std.noop", "on-success": ["b"], "on-error": ["j"]},
        "b": {"on-success": ["j"]},
        "j": {"join": "one"},
    }
    driver = Driver(description).start().complete("a")
    assert driver.task("p").intent is Intent.TELL_THROUGH
    assert driver.state is ExecutionState.SUSPENDED
    driver.resume().complete("b").complete("j")
    assert driver.state is ExecutionState.SUCCESS


def test_what_is_lost_while_suspended_is_told_at_resume():
    """In one wave p pauses and x learns that it will not run; the join below x hears of that at resume."""
    description = {
        "s": {"on-success": ["p"], "on-error": ["x"]},
        "p": {"action": "std.noop", "on-success": ["pause"]},
        "x": {"on-success": ["j"]},
        "b": {"on-success": ["j"]},
        "j": {"join": "all"},
    }
    driver = Driver(description).start().complete("b").complete("s")
    assert driver.state is ExecutionState.SUSPENDED
    assert driver.task("x").intent is Intent.SETTLE
    assert driver.task("j").state is TaskState.PENDING
    driver.resume()
    assert driver.task("j").state is TaskState.FAILURE
    assert driver.state is ExecutionState.FAILURE


def test_a_list_paused_again_keeps_its_turn():
    """What a second pause of a list keeps still comes before what ended while the execution was suspended."""
    description = {"a": {"on-success": ["pause", "b", "pause", "fail"]}, "b": {}, "x": {"on-success": ["succeed"]}}
    driver = Driver(description).start().complete("a").complete("x").resume()
    assert driver.running() == [("b", 1)]
    driver.complete("b").resume()
    assert driver.state is ExecutionState.FAILURE
