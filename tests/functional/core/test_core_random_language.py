"""Random flows with items, retries, delays, guards and loops, compared with what has to happen by definition."""

import os
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from language import Identity, Shell, Tape, draw
from language_model import Model

from lazyengine.compilers.topology import ALL
from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, TaskState

PROFILE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=int(os.environ.get("LAZYENGINE_TEST_EXAMPLES", "500")),
    suppress_health_check=list(HealthCheck),
)
TAPES = st.binary(min_size=150, max_size=150).map(Tape)
CHOICES = st.binary(min_size=100, max_size=200).map(Tape)
BUDGETS = (UNBOUNDED, UNBOUNDED, 1, 3)
RUNS = 60
STEPS = 2_000


def states(shell: Shell) -> dict[Identity, TaskState]:
    """Map each run to its state, by what it is, as those that begin at once have no order; one that sleeps runs."""
    runs, running = shell.whole(), TaskState.RUNNING
    return {
        shell.host.name(key): running if mark.state is TaskState.DELAYED else mark.state for key, mark in runs.items()
    }


@PROFILE
@given(TAPES, CHOICES)
def test_every_step_is_what_the_rules_say(tape: Tape, choices: Tape) -> None:
    """Whatever run ends or wakes next: the same runs have begun, in the same states; and it ends as it has to."""
    nodes = draw(tape, (None, None, ALL, 1, 2, 3), pure=False)
    shell, model = Shell(nodes), Model(nodes)
    while shell.header.state not in FINAL_EXECUTION_STATES and len(model.states) < RUNS:
        assert states(shell) == model.named_states()
        key = choices.pick(shell.running() + shell.sleeping())
        shell.wake(key) if key in shell.sleeping() else shell.complete([key])
        run, state = model.run(shell.host.name(key[:2])), shell.marks[key[:2]].state
        if state in (TaskState.SUCCESS, TaskState.FAILURE):
            assert state is model.attempts(run)[-1]
            model.end(run, state)
    assert states(shell) == model.named_states()
    if shell.header.state in FINAL_EXECUTION_STATES:
        assert TaskState.RUNNING not in model.states.values()
        assert (shell.header.state is ExecutionState.FAILURE) == (model.unhandled > 0)
        assert_each_once(shell, model)


def assert_each_once(shell: Shell, model: Model) -> None:
    """Every attempt of every run and item began once, and every run slept as often as its policies say."""
    assert set(shell.begun.values()) <= {1}
    begun = Counter((shell.host.name((node, iteration)), *rest) for node, iteration, *rest in shell.begun)
    assert begun == Counter((model.names[run], *rest) for run in model.states for _, _, *rest in model.begun(run))
    slept = Counter((shell.host.name(run), times) for run, times in shell.slept.items())
    assert slept == Counter((model.names[run], times) for run in model.states if (times := model.delays(run)))


def play(shell: Shell, choices: Tape, most: int = 4) -> bool:
    """End up to four runs and items in one transaction, or wake one, or suspend; False if that never ends it."""
    for _ in range(STEPS):
        if shell.header.state in FINAL_EXECUTION_STATES:
            return True
        running, sleeping = shell.running(), shell.sleeping()
        quiet = not running and not sleeping
        if shell.header.state is not ExecutionState.RUNNING and (quiet or choices.number(3) == 2):
            shell.resume()
        elif shell.header.state is ExecutionState.RUNNING and choices.number(12) == 11:
            shell.suspend()
        elif sleeping and (not running or choices.number(3) == 2):
            shell.wake(choices.pick(sleeping))
        else:
            chosen = [choices.pick(running) for _ in range(1 + choices.number(most))]
            shell.complete(dict.fromkeys(chosen))
    return False


@PROFILE
@given(TAPES, CHOICES)
def test_the_end_does_not_depend_on_the_order(tape: Tape, choices: Tape) -> None:
    """However completions, alarms, suspensions and budgets interleave: the same runs, attempts and items, each once.

    In loops, joins are of all links or of one: which tokens a run of another join uses depends on their order.
    """
    nodes = draw(tape, (None, None, ALL, 1), pure=True)
    model = Model(nodes)
    if not model.play(RUNS):
        return
    shell = Shell(nodes, choices.pick(BUDGETS))
    assert play(shell, choices)
    names = {run: shell.host.name(run) for run in shell.whole()}
    ended = Counter((names[run], mark.state, mark.attempt) for run, mark in shell.whole().items())
    assert ended == Counter((model.names[run], state, len(model.attempts(run))) for run, state in model.states.items())
    assert (shell.header.state is ExecutionState.FAILURE) == (model.unhandled > 0)
    assert_each_once(shell, model)
