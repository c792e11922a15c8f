"""The core alone: what a completion decides in memory, by the size of a graph and by out-edges; no database, no HTTP.

The shell around it keeps header and marks in dictionaries and loops waves; it is measured with the core.
"""

import gc
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import linear_regression
from time import process_time

from bench.harness import emit, parser, rounds, row
from bench.shapes import Tasks, chain, definition, diamond, ladder, layered
from lazyengine.compilers.workflow import compile_definition
from lazyengine.core import resolve
from lazyengine.core.decision import Decision, Slice
from lazyengine.core.graph import Key, Node
from lazyengine.core.state import ExecutionState, Header, Mark, Outcome, TaskState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Outcome(TaskState.SUCCESS)
AT_LEAST = 5_000
"""So many completions in one measurement, however small the graph."""


class Shell:
    """One execution in memory."""

    def __init__(self, nodes: dict[int, Node], roots: Sequence[int]) -> None:
        self.nodes, self.header = nodes, Header()
        self.marks: dict[Key, Mark] = {}
        self.follow(resolve.begin(self.header, roots, NOW))

    def complete(self, node: int) -> None:
        self.follow(resolve.complete(self.slice(), (node, 1), DONE, NOW))

    def follow(self, decision: Decision) -> None:
        self.take(decision)
        while decision.wave:
            decision = resolve.arrive(self.slice(), decision.wave, NOW)
            self.take(decision)
        self.take(resolve.settle(self.header, NOW))

    def take(self, decision: Decision) -> None:
        self.header = decision.header
        self.marks.update(decision.marks)

    def slice(self) -> Slice:
        return Slice(self.header, self.nodes, self.marks)


class Case:
    """A shape, compiled."""

    def __init__(self, tasks: Tasks) -> None:
        graph, nodes = compile_definition(definition("w", tasks), None, "", len(tasks))
        self.nodes, self.roots = {node.id: node for node in nodes}, graph.roots
        self.edges = sum(len(node.edges) for node in nodes) / len(nodes)

    def microseconds(self, at_least: int) -> float:
        """Run whole executions; return the processor time of a completion."""
        order, took, done = sorted(self.nodes), 0.0, 0
        while done < at_least:
            shell = Shell(self.nodes, self.roots)
            began = process_time()
            for node in order:
                shell.complete(node)
            took += process_time() - began
            done += len(order)
            assert shell.header.state is ExecutionState.SUCCESS
        return took / done * 1e6


def main() -> None:
    options = parser(__doc__).parse_args()
    sizes = (10, 100, 1_000) if options.quick else (10, 100, 1_000, 10_000, 100_000)
    cases = {f"chain of {size:,}": Case(chain(size)) for size in sizes}
    cases |= {f"ladder of {size:,}": Case(ladder(size)) for size in sizes}
    cases["diamond of 100"] = Case(diamond(100))
    cases |= {f"layered, {width} wide": Case(layered(1_000 // width, width)) for width in (1, 4, 10, 25)}
    gc.freeze()  # the graphs are in a database otherwise: no collection has to look at them
    at_least = AT_LEAST // 20 if options.quick else AT_LEAST
    count = 2 if options.quick else 5
    runs = rounds({name: lambda one=one: one.microseconds(at_least) for name, one in cases.items()}, count)
    rows = [row(name, "µs CPU/completion", runs[name], out_edges=round(cases[name].edges, 2)) for name in cases]
    wide = [name for name in cases if name.startswith("layered")]
    lines = [
        linear_regression([cases[name].edges for name in wide], [runs[name][number] for name in wide])
        for number in range(count)
    ]
    rows.append(row("an out-edge", "µs CPU", [line.slope for line in lines], target="at most 0.3"))
    rows.append(row("a completion without any", "µs CPU", [line.intercept for line in lines], target="at most 10"))
    for shape in ("chain", "ladder"):
        grown = [exponent(sizes, [runs[f"{shape} of {size:,}"][number] for size in sizes]) for number in range(count)]
        rows.append(row(f"growth exponent, {shape}", "", grown, target="at most 0.05"))
    emit("core", rows)


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return e where costs grow as size to the power of e."""
    return linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs]).slope


if __name__ == "__main__":
    main()
