"""Time passes: what waits goes on, what takes too long fails, and what is not heard of is taken back.

`running` has the theory.
"""

from lazyengine.core import state as st
from lazyengine.core.attempt import truth
from lazyengine.core.graph import Node
from lazyengine.core.host import Refused
from lazyengine.core.running import Running
from lazyengine.core.state import Failure, Intent, Mark, Outcome, TaskEvent, TaskState
from lazyengine.core.values import replace


class Timing(Running):
    """What becomes of a run in time."""

    # -- time passes --------------------------------------------------------------------------------------------------

    def wake(self, node: Node, mark: Mark) -> None:
        """Do what it is time for; what came too late or is over has nothing to do any more."""
        if mark.state in st.FINAL_TASK_STATES or self.is_over:
            self.save(replace(mark, due_at=None, deadline_at=None))
        elif mark.deadline_at and mark.deadline_at <= self.now:
            self.time_out(node, mark)
        elif mark.due_at and mark.due_at <= self.now:
            mark = self.rouse(mark)
            if mark.ending in st.TASK_EVENT_OF_OUTCOME:
                assert mark.outcome is not None
                self.end(node, mark, st.TASK_EVENT_OF_OUTCOME[mark.ending], mark.outcome)
            elif self.is_running():
                self.proceed(node, mark)
            else:
                self.put_off(mark)

    def time_out(self, node: Node, mark: Mark) -> None:
        """Mistral: `engine/policies.py`, _fail_task_if_incomplete."""
        if mark.intent is not None:
            mark = self.release(mark)
            self.live += 1
        self.finish(node, replace(mark, deadline_at=None), st.TIMED_OUT)

    # -- a lease runs out ---------------------------------------------------------------------------------------------

    def lapse(self, node: Node, mark: Mark) -> None:
        """Take an attempt from whoever was not heard of: it is made again, or fails where that is not safe."""
        run = self.mark(mark.key[:2])
        if run.deadline_at and run.deadline_at <= self.now:
            self.time_out(node, run)
            return
        try:
            is_unsafe = mark.state is TaskState.RUNNING and self.is_unsafe(node, run)
        except Refused as refused:
            self.refuse(node, run, str(refused))
            return
        info = f"The lease of attempt {mark.attempt} ran out"
        if not is_unsafe:
            self.put_back(mark, info)
            return
        outcome = Outcome(TaskState.FAILURE, None, Failure("lease", f"{info}, and 'safe-rerun' is false"))
        if mark.item == st.WHOLE:
            self.finish(node, mark, outcome)
        else:
            self.complete_item(node, mark, outcome)

    def is_unsafe(self, node: Node, run: Mark) -> bool:
        """Tell whether a task says that it must not run twice (Mistral: `engine/tasks.py`, _get_safe_rerun).

        :raises Refused: that cannot be evaluated
        """
        is_safe = node.policy.safe_rerun
        return is_safe is not None and not truth(self.host, node, run.key, "safe-rerun", is_safe)

    def put_back(self, mark: Mark, info: str) -> None:
        """Make the next attempt of what it was, with the same input; what may not begin now waits in the backlog.

        An item may be ahead of its run in attempts, but no later attempt of the run has a number that it had.
        """
        state = st.next_task_state(mark.state, TaskEvent.LAPSE)
        mark = replace(mark, state=state, attempt=mark.attempt + 1, info=info)
        run = self.mark(mark.key[:2])
        if mark.item != st.WHOLE:
            run = self.save(replace(run, attempt=max(run.attempt, mark.attempt)))
        if self.is_running():
            self.hand_out(mark)
            return
        self.hold(mark, Intent.RETURN)
        if mark.item == st.WHOLE:
            self.live -= 1
        else:
            assert run.items is not None
            self.save(replace(run, items=replace(run.items, held=run.items.held + 1)))
