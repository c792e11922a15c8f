"""Holds the tables against each other, against the definitions and against what workers and callers were told.

It reads the tables as anybody could: no code of the engine is asked.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from sqlalchemy import create_engine, text

FINAL = frozenset({"SUCCESS", "FAILURE", "REVERTED", "CANCELLED"})
ENDED = FINAL | {"SKIPPED"}
EARLY = ("succeed", "fail")

Place = tuple[str, int, int, int]
"""(task, iteration, item, attempt); the item of a run itself is -1."""


class Checker:
    """
    :param started: by execution id: the definition of what callers were told was started
    :param recorded: what workers were told of their reports: {"execution_id", "task", …, "state"}
    """

    def __init__(self, url: str, started: Mapping[str, str], recorded: Sequence[Mapping[str, Any]]) -> None:
        self.started, self.recorded = started, recorded
        with create_engine(url).connect() as connection:
            nodes = {(row.graph_id, row.id): row.name for row in connection.execute(text("SELECT * FROM node"))}
            columns = "id, graph_id, state, live, backlog, events, generation, parent_id, workflow"
            rows = connection.execute(text(f"SELECT {columns} FROM execution")).all()
            self.executions = {_id(row.id): row for row in rows}
            self.history = defaultdict(list)
            for row in connection.execute(text("SELECT * FROM history ORDER BY execution_id, number")):
                self.history[_id(row.execution_id)].append(row)
            marks = "execution_id, node_id, iteration, item, state, attempt"
            self.marks = defaultdict(list)
            for row in connection.execute(text(f"SELECT {marks} FROM mark")):
                self.marks[_id(row.execution_id)].append(row)
        self.names = {id: {node: name for (graph, node), name in nodes.items() if graph == row.graph_id}
                      for id, row in self.executions.items()}  # fmt: skip

    def violations(self) -> Iterator[str]:
        """Yield what is wrong, each with the execution that it is about."""
        for id in self.started.keys() - self.executions.keys():
            yield f"{id}: a caller was told that it was started, and there is none"
        by_place = self.outcomes()
        for id, row in self.executions.items():
            for wrong in (
                *self.of_execution(id, row), *self.of_attempts(id), *self.of_marks(id), *self.of_edges(id, row)
            ):  # fmt: skip
                yield f"{id} ({row.workflow}): {wrong}"
        for told in self.recorded:
            place = (told["task"], told["iteration"], _item(told["item"]), told["attempt"])
            if told["state"] in ENDED and told["state"] not in by_place[told["execution_id"], place]:
                yield f"{told['execution_id']}: {place} was recorded as {told['state']}, and the history has it not"

    def outcomes(self) -> Mapping[tuple[str, Place], list[str]]:
        """Collect how attempts ended, by execution and place."""
        found = defaultdict(list)
        for id, rows in self.history.items():
            for row in rows:
                if row.kind == "task" and row.state in ENDED:
                    found[id, self.place(id, row)].append(row.state)
        return found

    def place(self, id: str, row: Any) -> Place:
        return (self.names[id][row.node_id], row.iteration, _item(row.item), row.attempt)

    def of_execution(self, id: str, row: Any) -> Iterator[str]:
        """The header, its history, and their numbers."""
        if row.state not in FINAL:
            yield f"is {row.state}, not final"
        numbers = [event.number for event in self.history[id]]
        if numbers != list(range(1, row.events + 1)):
            yield f"has {row.events} events, and the history {len(numbers)} up to {max(numbers, default=0)}"
        ends = [event.state for event in self.history[id] if event.kind == "execution"]
        if not ends or ends[-1] != row.state:
            yield f"is {row.state}, and its history ends with {ends[-1:]}"
        if sum(state in FINAL for state in ends) > 1:
            yield f"came to an end more than once: {ends}"
        if row.state == "SUCCESS" and (row.live or row.backlog) and not self.was_cut_short(id):
            yield f"is SUCCESS with {row.live} tasks under way and a backlog of {row.backlog}"

    def was_cut_short(self, id: str) -> bool:
        """Tell whether the command `succeed` ended it, which leaves what is under way as it is."""
        infos = ["", *(event.info or "" for event in self.history[id] if event.kind == "execution")]
        return "'succeed'" in infos[-1]

    def of_attempts(self, id: str) -> Iterator[str]:
        """An attempt begins once and ends once; only one that nobody ended may be followed by another.

        After its end a retry may wait for its time under the same number, and fail for want of an input.
        """
        begun = Counter(self.place(id, row) for row in self.tasks(id) if row.state == "RUNNING")
        yield from (f"{place} began {times} times" for place, times in begun.items() if times > 1)
        ended = Counter[tuple[Place, str]]()
        for row in self.tasks(id):
            if row.state == "DELAYED":
                ended -= Counter({(self.place(id, row), "FAILURE"): 1})
            elif row.state in ENDED:
                ended[self.place(id, row), row.state] += 1
        yield from (f"{place} ended {times} times" for place, times in ended.items() if times > 1)
        if self.executions[id].state != "SUCCESS" or self.was_cut_short(id):
            return
        over: dict[tuple[str, int, int], int] = {}
        ends = (self.place(id, row) for row in self.tasks(id) if row.state in ENDED)
        for name, iteration, item, attempt in ends:  # the lapse of an item raises the attempt of its run
            over[name, iteration, item] = max(attempt, over.get((name, iteration, item), 0))
        last: dict[tuple[str, int, int], int] = {}
        for name, iteration, item, attempt in begun:
            last[name, iteration, item] = max(attempt, last.get((name, iteration, item), 0))
        for (name, iteration, item), attempt in last.items():
            if over.get((name, iteration, item), 0) < attempt:
                yield f"is SUCCESS, and attempt {attempt} of {name}, {iteration}, {item} never ended"

    def tasks(self, id: str) -> Iterable[Any]:
        return (row for row in self.history[id] if row.kind == "task")

    def of_marks(self, id: str) -> Iterator[str]:
        """A mark is in the state that the history leaves it in."""
        last = {}
        for row in self.tasks(id):
            last[row.node_id, row.iteration, _item(row.item)] = (row.state, row.attempt)
        for mark in self.marks[id]:
            told = last.get((mark.node_id, mark.iteration, mark.item))
            if told and mark.state in ENDED and told[0] != mark.state:
                yield f"{self.names[id][mark.node_id]} is {mark.state}, and its history ends with {told[0]}"

    def of_edges(self, id: str, row: Any) -> Iterator[str]:
        """What was told has begun, and a join has begun once."""
        definition = self.definition_of(id)
        tasks = definition.get(row.workflow, {}).get("tasks", {}) if definition else {}
        if not tasks or definition[row.workflow].get("type") == "reverse" or loops(tasks):
            return
        begun = Counter(
            self.names[id][event.node_id]
            for event in self.tasks(id)
            if event.state == "RUNNING" and _item(event.item) == -1 and event.attempt == 1
        )
        touched = {self.names[id][mark.node_id] for mark in self.marks[id]}
        for name, task in tasks.items():
            if "join" in task and begun[name] > 1:
                yield f"join {name} fired {begun[name]} times"
        if row.state != "SUCCESS" or any(command in json.dumps(tasks) for command in EARLY):
            return
        states = {self.names[id][mark.node_id]: mark.state for mark in self.marks[id] if mark.item == -1}
        for name, task in tasks.items():
            clauses = {"SUCCESS": ("on-success", "on-complete"), "FAILURE": ("on-error", "on-complete")}
            for clause in clauses.get(states.get(name, ""), ()):
                for target in plain_targets(task.get(clause)):
                    if target in tasks and target not in touched:
                        yield f"{name} is {states[name]} and leads to {target}, which never happened"

    def definition_of(self, id: str) -> Any:
        while id is not None and id not in self.started:
            parent = self.executions[id].parent_id
            id = None if parent is None else _id(parent)
        return yaml.safe_load(self.started[id]) if id else None


def loops(tasks: Mapping[str, Any]) -> bool:
    """Tell whether a task leads to one that stands before it, as only loops do in these workflows."""
    order = {name: at for at, name in enumerate(tasks)}
    return any(
        order.get(target, len(order)) <= order[name]
        for name, task in tasks.items()
        for clause in ("on-success", "on-error", "on-complete")
        for target in all_targets(task.get(clause))
    )


def all_targets(clause: Any) -> list[str]:
    if isinstance(clause, dict):
        clause = clause.get("next", [])
    entries = [clause] if isinstance(clause, str) else clause or []
    return [name for entry in entries for name in ([entry] if isinstance(entry, str) else entry)]


def plain_targets(clause: Any) -> list[str]:
    """Return the targets that have no guard."""
    if isinstance(clause, dict):
        clause = clause.get("next", [])
    entries = [clause] if isinstance(clause, str) else clause or []
    return [entry for entry in entries if isinstance(entry, str)]


def _item(item: int | None) -> int:
    return -1 if item is None else item


def _id(value: Any) -> str:
    """Return an id in its canonical form: SQLite and MariaDB keep it without hyphens."""
    digits = str(value).replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
