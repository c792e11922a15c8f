"""Random flows whose workers vanish: leases run out at any moment, suspended or not, and nothing else changes."""

from collections import Counter

from hypothesis import given
from language import FAILURE, SUCCESS, Shell, Tape, attempt_ends, draw
from language_model import Model
from test_core_random_language import BUDGETS, CHOICES, PROFILE, RUNS, STEPS, TAPES

from lazyengine.compilers.topology import ALL
from lazyengine.core.graph import Key
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, Outcome, TaskState


class Deserted(Shell):
    """An execution whose workers vanish; an attempt that came back ends as the one that it takes the place of."""

    lapses = 0

    def ending(self, key: Key) -> Outcome:
        node, identity, attempt = self.nodes[key[0]], self.host.names[key[:2]], self.marks[key[:2]].retries + 1
        return FAILURE if attempt_ends(node, identity, attempt, *key[2:]) is TaskState.FAILURE else SUCCESS

    def lapse(self, key: Key) -> None:
        before = self.marks[key]
        super().lapse(key)
        self.lapses += 1
        assert (self.marks[key].state, self.marks[key].attempt) == (before.state, before.attempt + 1)
        assert self.marks[key[:2]].attempt >= self.marks[key].attempt


def play(shell: Deserted, choices: Tape) -> bool:
    """End, wake, suspend, resume and lapse by choice; False if it never ends."""
    for _ in range(STEPS):
        if shell.header.state in FINAL_EXECUTION_STATES:
            return True
        running, sleeping = shell.running(), shell.sleeping()
        quiet = not running and not sleeping
        if quiet:
            assert shell.header.state is not ExecutionState.SUSPENDING, "nothing is under way, and it does not rest"
        if shell.header.state is not ExecutionState.RUNNING and (quiet or choices.number(3) == 2):
            shell.resume()
        elif running and choices.number(4) == 3 and shell.lapses < RUNS:
            shell.lapse(choices.pick(running))
        elif shell.header.state is ExecutionState.RUNNING and choices.number(8) == 7:
            shell.suspend()
        elif sleeping and (not running or choices.number(3) == 2):
            shell.wake(choices.pick(sleeping))
        else:
            shell.complete([choices.pick(running)])
    return False


@PROFILE
@given(TAPES, CHOICES)
def test_it_ends_as_if_no_worker_had_vanished(tape: Tape, choices: Tape) -> None:
    """The same runs end in the same states; every lease that ran out is one attempt more, and no number comes twice."""
    nodes = draw(tape, (None, None, ALL, 1), pure=True)
    model = Model(nodes)
    if not model.play(RUNS):
        return
    shell = Deserted(nodes, choices.pick(BUDGETS))
    assert play(shell, choices)
    ended = Counter((shell.host.name(run), mark.state) for run, mark in shell.whole().items())
    assert ended == Counter((model.names[run], state) for run, state in model.states.items())
    assert (shell.header.state is ExecutionState.FAILURE) == (model.unhandled > 0)
    assert set(shell.begun.values()) <= {1}
    expected = sum(len(list(model.begun(run))) for run in model.states)
    assert sum(shell.begun.values()) == expected + shell.lapses
