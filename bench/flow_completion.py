"""What a completion costs in chains of 100 and of 10,000 tasks of TaskFlow, and what a task costs in TaskFlow's engine.

Each chain is brought to its middle.  Then come rounds: in each, some tasks of every chain are completed one by one
through the library door, and the median of a round is what a completion took in it.  Every task requires what the one
before it provides.  In TaskFlow's serial engine, which runs whole chains in memory, a task costs the time divided by
the tasks.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from taskflow import engines, task
from taskflow.engines.action_engine.compiler import PatternCompiler
from taskflow.flow import Flow
from taskflow.patterns import linear_flow

from bench.harness import emit, median, parser, ratio, rounds, row
from bench.places import BACKENDS, NAMES, database
from lazyengine.compilers.patterns import Compiler
from lazyengine.controller import Controller
from lazyengine.core.state import Outcome, TaskState
from lazyengine.own_store import OWNER
from lazyengine.records import Report

COMPLETIONS = 6
"""Of each chain in a round: so many that the short one lasts."""


class Link(task.Task):
    default_provides = "x"

    def execute(self, x: int) -> int:
        return x + 1


def chain(length: int) -> Flow:
    first = Link("t0", inject={"x": 0})
    return linear_flow.Flow(f"chain-{length}").add(first, *(Link(f"t{n}") for n in range(1, length)))


def milliseconds(call: Callable[[], Any]) -> float:
    before = time.perf_counter()
    call()
    return (time.perf_counter() - before) * 1000


class Chain:
    """A chain under way, behind the library door."""

    def __init__(self, url: str, length: int) -> None:
        self.controller = Controller(url, executor=None)
        self.id = self.controller.start(chain(length))
        self.at = length // 2
        for first in range(0, self.at, 1000):
            ended = range(first, min(first + 1000, self.at))
            reports = [Report(f"t{n}", Outcome(TaskState.SUCCESS, n)) for n in ended]
            self.controller.store.engine.complete_tasks(OWNER, self.id, reports)
        self.complete()

    def round(self) -> float:
        """Return the median of some completions."""
        return median(milliseconds(self.complete) for _ in range(COMPLETIONS))

    def complete(self) -> None:
        self.controller.complete_task(self.id, f"t{self.at}", self.at)
        self.at += 1


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--backend", default="sqlite", choices=BACKENDS)
    chosen = options.parse_args()
    logging.getLogger("taskflow").setLevel(logging.ERROR)
    lengths = (100, 400) if chosen.quick else (100, 10_000)
    theirs = (100, 200) if chosen.quick else (100, 400, 1_000)
    with database(chosen.backend) as url:
        chains = {length: Chain(url, length) for length in lengths}
        cases = {f"completion, chain of {length:,}": one.round for length, one in chains.items()}
        for length in theirs:
            cases[f"TaskFlow's engine, a task, chain of {length:,}"] = lambda length=length: (
                milliseconds(lambda: engines.run(chain(length))) / length
            )
        for name, compiler, compiled in (("lazyengine", Compiler, lengths), ("TaskFlow", PatternCompiler, theirs)):
            for length in compiled:
                flow = chain(length)
                cases[f"compile with {name}, chain of {length:,}"] = lambda flow=flow, compiler=compiler: milliseconds(
                    compiler(flow).compile
                )
        runs = rounds(cases, 2 if chosen.quick else 7)
        for one in chains.values():
            one.controller.close()
    short, long = (f"completion, chain of {length:,}" for length in lengths)
    compared = {long: {"ratios": {f"chain of {lengths[0]:,}": ratio(runs[long], runs[short])}}}
    emit(
        "flow_completion",
        [row(case, "ms", of_case, **compared.get(case, {})) for case, of_case in runs.items()],
        backend=NAMES[chosen.backend],
    )


if __name__ == "__main__":
    main()
