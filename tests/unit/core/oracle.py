"""What has to happen, by definition instead of by tokens: recomputed from scratch from the runs that have ended.

It reads the description, not the compiled nodes, and knows nothing of waves, tallies or verdicts:

- A task *chose* another when a run of it ended and an entry naming the other fired.
- A task is *over* when no run of it is going on and none can come any more.
- A task is *lost* to a join when it is over and never chose it.
- A task without join runs once for every entry that fired for it; one that nothing leads to runs once.
- A join of k runs, once, when k tasks chose it; it fails without running when at least one chose it and fewer than k
  are not lost; it never happens when all are lost.
- The execution is over when nothing runs: CANCELLED if a task was cancelled, else FAILURE if a failed one has no
  on-error entry that fired, else SUCCESS.

`Oracle` is this.  `Story` adds what depends on order: commands, suspending, tasks that end by themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Run = tuple[str, int]
Entry = tuple[str, str]
"""(clause, target or command)"""

CLAUSES = {
    "SUCCESS": ("on-success", "on-complete"),
    "FAILURE": ("on-error", "on-complete"),
    "CANCELLED": (),
}
PURE = {"std.noop": "SUCCESS", "std.echo": "SUCCESS", "std.fail": "FAILURE"}
ENDS = {"fail": "FAILURE", "succeed": "SUCCESS"}


@dataclass(frozen=True)
class Prediction:
    """The state of every run that has begun or failed to, and that of the execution if nothing commands it."""

    runs: dict[Run, str]
    verdict: str
    blocked: frozenset[str]


class Oracle:
    """The definition above for one acyclic description and one set of answers to its guards."""

    def __init__(self, description: Mapping[str, Mapping[str, Any]], guards: Mapping[str, bool] | None = None) -> None:
        self.description = description
        self.guards = guards or {}
        self.fired = {
            (name, end): self.entries(task, clauses)
            for name, task in description.items()
            for end, clauses in CLAUSES.items()
        }
        self.sources = {name: [] for name in description}
        for name, task in description.items():
            for target in {to for clause in CLAUSES["SUCCESS"] + CLAUSES["FAILURE"] for to in targets(task, clause)}:
                if target in self.sources:
                    self.sources[target].append(name)
        self.order = self.upstream_first()

    def entries(self, task: Mapping[str, Any], clauses: Iterable[str]) -> list[Entry]:
        found = []
        for clause in clauses:
            for entry in task.get(clause, ()):
                to, guard = (entry, None) if isinstance(entry, str) else (entry["to"], entry.get("guard"))
                if guard is None or self.guards[guard]:
                    found.append((clause, to))
        return found

    def upstream_first(self) -> list[str]:
        order: list[str] = []
        while len(order) < len(self.description):
            order += [
                name for name, froms in self.sources.items() if name not in order and all(s in order for s in froms)
            ]
        return order

    def predict(self, ended: Mapping[Run, str], told: Mapping[Run, tuple[int, bool]] | None = None) -> Prediction:
        """Say what follows from the runs that have ended.

        :param told: for a run whose entries are not all told yet: how many are, and whether nothing is to follow.
            If it is given, a join that fails without running tells nothing until it is in `ended` as (name, 1)
        """
        ended_of: dict[str, list[tuple[int, str]]] = {name: [] for name in self.order}
        for (name, iteration), end in ended.items():
            ended_of[name].append((iteration, end))
        begun: dict[str, int] = {}
        over: dict[str, bool] = {}
        blocked: set[str] = set()
        choices: dict[str, list[str]] = {}
        for name in self.order:
            froms, join = self.sources[name], self.description[name].get("join")
            if not froms:
                begun[name], none_to_come = 1, True
            elif join is None:
                begun[name] = sum(choices[source].count(name) for source in froms)
                none_to_come = all(over[source] for source in froms)
            else:
                chose = sum(name in choices[source] for source in froms)
                lost = sum(over[source] and name not in choices[source] for source in froms)
                wanted = {"all": len(froms), "one": 1}.get(join, join)
                begun[name] = int(chose >= wanted)
                if 0 < chose < wanted and len(froms) - lost < wanted:
                    blocked.add(name)
                none_to_come = begun[name] == 1 or name in blocked or lost == len(froms)
            ends = [(1, "FAILURE")] if name in blocked else ended_of[name]
            choices[name] = []
            silent = False
            for iteration, end in ends:
                count, all_told = self.told((name, iteration), ended, told)
                choices[name] += [to for _, to in self.fired[name, end][:count]]
                silent = silent or not all_told
            over[name] = none_to_come and len(ends) >= begun[name] and not silent
        return self.conclude(ended, begun, blocked)

    def told(
        self, run: Run, ended: Mapping[Run, str], told: Mapping[Run, tuple[int, bool]] | None
    ) -> tuple[int | None, bool]:
        if told is None:
            return None, True
        return told.get(run, (None, True) if run in ended else (0, False))

    def conclude(self, ended: Mapping[Run, str], begun: dict[str, int], blocked: set[str]) -> Prediction:
        runs = {
            (name, i): ended.get((name, i), "RUNNING") for name, count in begun.items() for i in range(1, count + 1)
        }
        runs |= {(name, 1): "FAILURE" for name in blocked}
        assert ended.keys() <= runs.keys(), "a run ended that never began"
        states = set(runs.values())
        if "RUNNING" in states:
            verdict = "RUNNING"
        elif "CANCELLED" in states:
            verdict = "CANCELLED"
        elif any(end == "FAILURE" and not self.handled(name) for (name, _), end in runs.items()):
            verdict = "FAILURE"
        else:
            verdict = "SUCCESS"
        return Prediction(runs, verdict, frozenset(blocked))

    def handled(self, name: str) -> bool:
        return any(clause == "on-error" for clause, _ in self.fired[name, "FAILURE"])


def targets(task: Mapping[str, Any], clause: str) -> list[str]:
    return [entry if isinstance(entry, str) else entry["to"] for entry in task.get(clause, ())]


class Story:
    """An execution told event by event, for what depends on order.

    A run tells its entries when it ends, up to a pause, or to a fail or succeed, after which nobody tells anything.
    While suspended it only ends, and tells at resume, in the order of ending, deaf to pause commands.
    """

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.state = "RUNNING"
        self.ended: dict[Run, str] = {}
        self.told: dict[Run, tuple[int, bool]] = {}
        self.deaf: set[Run] = set()
        self.settle()

    def end(self, run: Run, end: str) -> None:
        self.note(run, end)
        self.settle()

    def suspend(self) -> None:
        self.state = "SUSPENDED"

    def cancel(self) -> None:
        self.state = "CANCELLED"

    def resume(self) -> None:
        self.state = "RUNNING"
        for run in list(self.told):
            if self.state == "RUNNING":
                self.tell(run)
        self.settle()

    def note(self, run: Run, end: str) -> None:
        self.ended[run] = end
        self.told[run] = (0, False)
        if self.state == "RUNNING":
            self.tell(run)
        else:
            self.deaf.add(run)

    def tell(self, run: Run) -> None:
        count, _ = self.told[run]
        entries = self.oracle.fired[run[0], self.ended[run]]
        while count < len(entries):
            command = entries[count][1]
            count += 1
            if command in ENDS or (command == "pause" and run not in self.deaf):
                self.state = ENDS.get(command, "SUSPENDED")
                self.told[run] = (count, False)
                return
        del self.told[run]

    def settle(self) -> None:
        """End what ends by itself, until nothing does; then see whether the execution is over."""
        while True:
            prediction = self.oracle.predict(self.ended, self.told)
            new = [(run, "FAILURE") for run in ((name, 1) for name in prediction.blocked) if run not in self.ended]
            for run, state in prediction.runs.items():
                action = self.oracle.description[run[0]].get("action")
                if state == "RUNNING" and action in PURE:
                    new.append((run, PURE[action]))
            for run, end in new:
                self.note(run, end)
            if not new:
                break
        self.prediction = prediction
        if self.state == "RUNNING":
            self.state = prediction.verdict
