"""What a completion costs in chains of 100 and of 10,000 tasks, in one run; and what a task costs in TaskFlow's engine.

    python bench/flow_completion.py [--url sqlite:///bench.db] [--json flow_completion.json]

Each chain is brought to its middle.  Then come rounds: in each, some tasks of every chain are completed one by one
through the library door, and the median of a round is what a completion took in it.  Every task requires what the one
before it provides.  In TaskFlow's serial engine, which runs whole chains in memory, a task costs
the time divided by the tasks.

Prints one table and writes all figures, in milliseconds, as JSON.
"""

import argparse
import json
import logging
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from taskflow import engines, task
from taskflow.engines.action_engine.compiler import PatternCompiler
from taskflow.flow import Flow
from taskflow.patterns import linear_flow

from lazyengine.compilers.patterns import Compiler
from lazyengine.controller import Controller
from lazyengine.core.state import Outcome, TaskState
from lazyengine.own_store import OWNER
from lazyengine.records import Report

LENGTHS = (100, 10_000)
TASKFLOW_LENGTHS = (100, 400, 1_000)
ROUNDS = 7
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
        self.controller, flow = Controller(url, executor=None), chain(length)
        self.start_ms = milliseconds(lambda: setattr(self, "id", self.controller.start(flow)))
        self.at = length // 2
        for first in range(0, self.at, 1000):
            ended = range(first, min(first + 1000, self.at))
            reports = [Report(f"t{n}", Outcome(TaskState.SUCCESS, n)) for n in ended]
            self.controller.store.engine.complete_tasks(OWNER, self.id, reports)

    def round(self) -> float:
        """Return the median of some completions."""
        return median(milliseconds(self.complete) for _ in range(COMPLETIONS))

    def complete(self) -> None:
        self.controller.complete_task(self.id, f"t{self.at}", self.at)
        self.at += 1


def library(url: str) -> dict[int, dict[str, Any]]:
    chains = {length: Chain(url, length) for length in LENGTHS}
    for one in chains.values():
        one.complete()
    rounds: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for _ in range(ROUNDS):
        for length, one in chains.items():
            rounds[length].append(one.round())
    for one in chains.values():
        one.controller.close()
    return {
        length: {"start": one.start_ms, "rounds": rounds[length], "completion": median(rounds[length])}
        for length, one in chains.items()
    }


def taskflow() -> dict[int, dict[str, Any]]:
    found = {}
    for length in TASKFLOW_LENGTHS:
        runs = [milliseconds(lambda: engines.run(chain(length))) / length for _ in range(5)]  # noqa: B023
        found[length] = {"runs": runs, "task": median(runs)}
    return found


def compilers() -> dict[str, dict[int, float]]:
    """Return how long a flow takes to be compiled, by compiler and length; TaskFlow's takes minutes for 10,000."""
    flows = {length: chain(length) for length in (100, 1_000, 10_000)}
    ours = {length: milliseconds(Compiler(flow).compile) for length, flow in flows.items()}
    theirs = {length: milliseconds(PatternCompiler(flows[length]).compile) for length in (100, 1_000)}
    return {"lazyengine": ours, "TaskFlow": theirs}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", help="an empty database; else SQLite in a directory that goes away")
    options.add_argument("--json", type=Path, default=Path("flow_completion.json"))
    chosen = options.parse_args()
    logging.getLogger("taskflow").setLevel(logging.ERROR)
    with TemporaryDirectory() as place:
        url = chosen.url or f"sqlite:///{place}/bench.db"
        found = {"library": library(url), "taskflow": taskflow(), "compile": compilers()}
    short, long = (found["library"][length]["completion"] for length in LENGTHS)
    ratio = long / short
    for length, figures in found["library"].items():
        least, most = min(figures["rounds"]), max(figures["rounds"])
        took = figures["completion"]
        print(f"lazyengine, {length:>6} tasks: {took:7.2f} ms a completion ({least:.2f} to {most:.2f})")
    for length, figures in found["taskflow"].items():
        least, most = min(figures["runs"]), max(figures["runs"])
        print(f"TaskFlow,   {length:>6} tasks: {figures['task']:7.2f} ms a task       ({least:.2f} to {most:.2f})")
    for compiler, times in found["compile"].items():
        for length, took in times.items():
            print(f"compile with {compiler + ',':<11} {length:>6} tasks: {took:9.1f} ms")
    print(f"{LENGTHS[1]:,} tasks against {LENGTHS[0]:,}: {ratio:.2f} times a completion")
    about = {"python": platform.python_version(), "machine": platform.machine(), "url": url.split(":")[0]}
    chosen.json.write_text(json.dumps({"about": about, "ratio": ratio, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
