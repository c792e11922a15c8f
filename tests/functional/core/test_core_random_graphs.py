"""Random graphs up to 30 tasks: multi-edges, guards, commands, actions that end by themselves, interruptions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from driver import OUTCOMES, Driver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle, Run, Story

from lazyengine.core.state import FINAL_EXECUTION_STATES, ExecutionState, TaskState

PROFILE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=30,
    suppress_health_check=list(HealthCheck),
)
GUARDS = {"yes": True, "no": False}
CLAUSES = ("on-success", "on-error", "on-complete")
COMMANDS = ("fail", "succeed", "pause", "pause")
RUNS = 6  # a task that could run more often gets a join: the number of runs doubles easily
STEPS = 60

# -- what is drawn ----------------------------------------------------------------------------------------------------


class Tape:
    """Choices read off drawn bytes, the first option for ever when they are used up: cheap, and it shrinks."""

    def __init__(self, tape: bytes) -> None:
        self.bytes = iter(tape)

    def number(self, below: int) -> int:
        return next(self.bytes, 0) % below

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.number(len(options))]

    def description(self, commands: tuple[str, ...] = ()) -> dict:
        """Each task leads to a few of the next ones, so that joins and diamonds are common.

        Commands stand only in tasks that neither join nor end by themselves: of these several can end in one wave, and
        which of them comes first is nobody's promise.
        """
        size = 2 + self.number(29)
        tasks: dict[str, dict] = {}
        runs = [0] * size
        for number in range(size):
            task: dict = {}
            join = self.pick([None, None, "all", "all", "one", 2, 3])
            if join or runs[number] > RUNS:
                task["join"], runs[number] = join or "one", 1
            action = self.pick([None, None, None, None, None, "std.noop", "std.echo", "std.fail"])
            if action:
                task |= {"action": action, "input": {"output": 1} if action == "std.echo" else {}}
            names = [f"t{later}" for later in range(number + 1, min(number + 6, size))] + ["noop"]
            names += () if "join" in task or action else commands
            for clause in CLAUSES:
                task[clause] = [self.entry(names) for _ in range(self.pick([1, 0, 2, 3, 1, 0]))]
            for target in named(task):
                runs[target] += runs[number] or 1
            tasks[f"t{number}"] = task
        return tasks

    def entry(self, names: list[str]) -> str | dict:
        to, guard = self.pick(names), self.pick([None, None, None, *GUARDS])
        return {"to": to, "guard": guard} if guard else to


def descriptions(commands: tuple[str, ...] = ()) -> st.SearchStrategy[dict]:
    return st.binary(min_size=300, max_size=300).map(lambda tape: Tape(tape).description(commands))


def named(task: dict) -> list[int]:
    targets = [entry if isinstance(entry, str) else entry["to"] for clause in CLAUSES for entry in task.get(clause, ())]
    return [int(target[1:]) for target in targets if target[0] == "t"]


@dataclass(frozen=True)
class Plan:
    """How each run ends, which of those running ends next, and after how many steps the execution is suspended."""

    ends: tuple[TaskState, ...]
    order: tuple[int, ...]
    suspended_after: frozenset[int] = frozenset()
    resumed_after: int = 1

    def end(self, run: Run) -> TaskState:
        return self.ends[(int(run[0][1:]) * 7 + run[1]) % len(self.ends)]

    def next(self, step: int, running: list[Run]) -> Run:
        return running[self.order[step % len(self.order)] % len(running)]


def plans(cancelling: bool = False) -> st.SearchStrategy[Plan]:
    ends = [TaskState.SUCCESS, TaskState.SUCCESS, TaskState.FAILURE, TaskState.SUCCESS, TaskState.FAILURE]
    ends += [TaskState.CANCELLED] * cancelling
    return st.builds(
        lambda ends_, order, suspended, resumed: Plan(
            tuple(ends[byte % len(ends)] for byte in ends_), tuple(order), frozenset(b % 25 for b in suspended), resumed
        ),
        st.binary(min_size=1, max_size=11),
        st.binary(min_size=1, max_size=11),
        st.binary(max_size=3),
        st.integers(1, 4),
    )


# -- how it is played -------------------------------------------------------------------------------------------------


def play(driver: Driver, plan: Plan, story: Story | None = None) -> Driver:
    """Start it and end its runs by the plan until it is over, or for so many steps; let the story follow."""
    driver.start()
    resume_at = 0
    for step in range(STEPS):
        if story:
            compare(driver, story)
        if driver.state in FINAL_EXECUTION_STATES:
            break
        if step in plan.suspended_after and driver.state is ExecutionState.RUNNING:
            driver.suspend()
            if story:
                story.suspend()
        if driver.state is ExecutionState.RUNNING:
            resume_at = step + plan.resumed_after
        elif step >= resume_at or driver.state is ExecutionState.SUSPENDED:
            driver.resume()
            if story:
                story.resume()
            continue
        name, iteration = run = plan.next(step, driver.running())
        driver.complete(name, OUTCOMES[plan.end(run)], iteration)
        if story:
            story.end(run, plan.end(run))
    return driver


def compare(driver: Driver, story: Story) -> None:
    """Expect the runs of the story, each in its state.

    Where something is untold (suspended, or ended by a command) a join may not know yet, or will never know, that it is
    lost: the story knows at once, the core when the dead tokens get there.
    """
    if story.state == "SUSPENDED":
        assert driver.state in (ExecutionState.SUSPENDING, ExecutionState.SUSPENDED)
    else:
        assert driver.state == story.state
    states, runs = driver.states(), story.prediction.runs
    if not story.told:
        assert states == runs
    assert states.items() <= runs.items()
    assert {name for name, _ in runs.keys() - states.keys()} <= story.prediction.blocked


# -- what holds -------------------------------------------------------------------------------------------------------


@PROFILE
@given(descriptions(COMMANDS), plans(cancelling=True))
def test_every_step_is_what_the_story_says(description, plan):
    """Commands, guards and interruptions at any point: the same runs in the same states as told by definition."""
    play(Driver(description, guards=GUARDS), plan, Story(Oracle(description, GUARDS)))


@PROFILE
@given(descriptions(), plans(cancelling=True), st.integers(1, 4))
def test_interruptions_and_budgets_change_nothing(description, plan, budget):
    """Without commands: suspended and resumed, or a few steps per transaction, it ends as it does in one go."""
    straight = play(Driver(description, guards=GUARDS), Plan(plan.ends, (0,)))
    interrupted = play(Driver(description, budget, GUARDS), plan)
    if straight.state in FINAL_EXECUTION_STATES and interrupted.state in FINAL_EXECUTION_STATES:
        assert interrupted.states() == straight.states()
        assert interrupted.state is straight.state
        assert interrupted.header.unhandled == straight.header.unhandled


@PROFILE
@given(descriptions(COMMANDS), plans(cancelling=True), st.integers(1, 3))
def test_the_books_are_right_whatever_happens(description, plan, budget):
    """Histories have no gaps and times of decisions only go up; the driver checks the counters at every step."""
    driver = play(Driver(description, budget, GUARDS), plan)
    assert [event.number for event in driver.events] == list(range(1, len(driver.events) + 1))
    generations = [event.generation for event in driver.events]
    assert generations == sorted(generations)
    assert generations[0] == 1
    assert generations[-1] <= driver.header.generation
    assert len(set(driver.scheduled)) == len(driver.scheduled)
