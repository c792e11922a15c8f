"""Random operations on random trees of executions: the books always equal the marks, and all come to their end."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from driving import OWNER, Clock
from nesting import CANCELLED, RUNNING, SUSPENDED, nest, steer
from sqlalchemy import Row, select

from lazyengine import errors
from lazyengine.core.state import (
    FINAL_EXECUTION_STATES,
    FINAL_TASK_STATES,
    WHOLE,
    ExecutionState,
    Failure,
    Mark,
    Outcome,
    TaskState,
)
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.db.rows import mark_of
from lazyengine.engine import Engine
from lazyengine.records import Report, Rerun
from lazyengine.settings import Settings

DEPTH = 3
OUTCOMES = (TaskState.SUCCESS, TaskState.SUCCESS, TaskState.FAILURE, TaskState.CANCELLED)
STOPPED = frozenset({ExecutionState.SUSPENDING, ExecutionState.SUSPENDED})
UNDER_WAY = frozenset({TaskState.RUNNING, TaskState.DELAYED})


def random_task(draw: random.Random, depth: int, later: list[str]) -> dict[str, Any]:
    task: dict[str, Any] = {}
    if depth < DEPTH and draw.random() < 0.7:
        task["workflow"] = f"w{depth + 1}"
        if draw.random() < 0.5:
            task["with-items"] = f"i in {list(range(draw.randint(1, 4)))}"
            if draw.random() < 0.4:
                task["concurrency"] = draw.randint(1, 2)
    elif draw.random() < 0.3:
        task["action"] = draw.choice(["std.noop", "std.fail"])
    elif draw.random() < 0.2:
        task["with-items"] = f"i in {list(range(draw.randint(1, 3)))}"
    if draw.random() < 0.25:
        task["retry"] = {"count": draw.randint(1, 2), "delay": draw.choice([0, 5])}
    policies = (("timeout", 30, 0.2), ("wait-after", 3, 0.1), ("wait-before", 3, 0.1))
    task |= {name: seconds for name, seconds, often in policies if draw.random() < often}
    for clause in ("on-success", "on-error", "on-complete"):
        if draw.random() < 0.4:
            task[clause] = draw.choice([*later, *later, "pause", "fail", "noop"])
    return task


def random_workflows(draw: random.Random) -> dict[str, Any]:
    """Workflows whose tasks are done by the next one; 'w0' is the highest."""
    found = {}
    for depth in range(DEPTH + 1):
        names = [f"t{number}" for number in range(draw.randint(1, 4))]
        tasks = {name: random_task(draw, depth, names[at + 1 :]) for at, name in enumerate(names)}
        inbound = Counter(
            to for task in tasks.values() for to in {task.get(f"on-{end}") for end in ("success", "error", "complete")}
        )
        for name in names:
            if inbound[name] and draw.random() < 0.5:
                tasks[name]["join"] = draw.choice(["all", 1])
        found[f"w{depth}"] = tasks
    return found


class Tree:
    """An execution and all below it, what may happen to it, and what has to be true of it."""

    def __init__(self, database: Database, seed: int) -> None:
        self.draw, self.clock, self.database = random.Random(seed), Clock(), database
        steps = self.draw.choice([1, 2, 3, 5, 12, 25, 1000])
        self.engine = Engine(database, replace(Settings(), steps_per_transaction=steps), self.clock)
        self.root = nest(self.engine, random_workflows(self.draw), "w0")

    # -- what is there ------------------------------------------------------------------------------------------------

    def read(self, table: Any, *where: Any) -> list[Row[Any]]:
        with self.database.engine.connect() as connection:
            return list(connection.execute(select(table).where(*where).order_by(*table.primary_key)))

    def executions(self, states: Any = None) -> list[Row[Any]]:
        found = {row.id: row for row in self.read(t.execution)}

        def place(row: Row[Any]) -> tuple[Any, ...]:
            own = (row.parent_node, row.parent_iteration, row.parent_item, row.parent_attempt)
            return (*(place(found[row.parent_id]) if row.parent_id in found else ()), str(own))

        ordered = sorted(found.values(), key=lambda row: (row.depth, place(row)))
        return [row for row in ordered if states is None or row.state in states]

    def names(self, execution: Row[Any]) -> dict[int, str]:
        return {row.id: row.name for row in self.read(t.node, t.node.c.graph_id == execution.graph_id)}

    def work(self) -> Iterator[tuple[str, str, Row[Any]]]:
        """What somebody may work on: (execution, task, mark)."""
        for execution in self.executions():
            if execution.state in FINAL_EXECUTION_STATES:
                continue
            rows = self.read(t.mark, t.mark.c.execution_id == execution.id)
            names, whole = self.names(execution), {(r.node_id, r.iteration): r for r in rows if r.item == WHOLE}
            for row in rows:
                run = whole[row.node_id, row.iteration]
                is_work = row.item != WHOLE or not row.item_counts
                if row.state == run.state == TaskState.RUNNING and is_work and not (row.child_id or run.child_id):
                    yield execution.id, names[row.node_id], row

    # -- what may happen ----------------------------------------------------------------------------------------------

    def report(self, execution_id: str, task: str, row: Row[Any], state: TaskState) -> None:
        failure = Failure("test", "it broke") if state is TaskState.FAILURE else None
        item = None if row.item == WHOLE else row.item
        self.engine.complete_task(
            OWNER, execution_id, Report(task, Outcome(state, None, failure), row.iteration, item=item)
        )

    def complete(self) -> None:
        if work := list(self.work()):
            self.report(*self.draw.choice(work), self.draw.choice(OUTCOMES))

    def steer(self) -> None:
        state = self.draw.choice([SUSPENDED, SUSPENDED, RUNNING, RUNNING, RUNNING, CANCELLED])
        steer(self.engine, self.draw.choice(self.executions()).id, state)

    def rerun(self) -> None:
        execution = self.draw.choice(self.executions())
        task = self.draw.choice(list(self.names(execution).values()))
        how = {"reset": self.draw.random() < 0.5, "skip": self.draw.random() < 0.2}
        self.engine.rerun_task(OWNER, execution.id, Rerun(task, **how))

    def delete(self) -> None:
        if (below := self.executions()[1:]) and self.draw.random() < 0.3:
            self.engine.delete_execution(OWNER, self.draw.choice(below).id, force=True)

    def wait(self) -> None:
        self.clock.advance(self.draw.choice([1, 4, 12]))
        self.engine.fire_due()

    def anything(self) -> None:
        acts = [self.complete] * 6 + [self.rerun] * 4 + [self.steer] * 3 + [self.wait] * 2 + [self.delete]
        with suppress(errors.LazyEngineError):
            self.draw.choice(acts)()

    def finish(self) -> None:
        """Resume and complete everything."""
        for _ in range(200):
            for execution in self.executions(STOPPED):
                with suppress(errors.ExecutionFinished, errors.ExecutionNotFound):
                    steer(self.engine, execution.id, RUNNING)
            for work in list(self.work()):
                with suppress(errors.LazyEngineError):
                    self.report(*work, TaskState.SUCCESS)
            self.engine.carry_on_everywhere()
            self.clock.advance(10)
            while self.engine.fire_due():
                pass
            if all(row.state in FINAL_EXECUTION_STATES for row in self.executions()):
                return

    # -- what has to be true ------------------------------------------------------------------------------------------

    def check(self) -> None:
        executions = self.executions()
        for row in executions:
            marks = [mark_of(one) for one in self.read(t.mark, t.mark.c.execution_id == row.id)]
            below = [one for one in executions if one.parent_id == row.id and one.state == ExecutionState.SUSPENDED]
            self.check_books(row, marks)
            for run in (mark for mark in marks if mark.item == WHOLE):
                self.check_run(row, run, [mark for mark in marks if mark.key[:2] == run.key], below)

    def check_books(self, row: Row[Any], marks: list[Mark]) -> None:
        runs = [mark for mark in marks if mark.item == WHOLE and mark.state in UNDER_WAY and not mark.intent]
        told = {
            "live": len(runs),
            "asleep": sum(run.sleeps for run in runs),
            "backlog": sum(mark.place is not None for mark in marks),
        }
        assert {name: getattr(row, name) for name in told} == told, row.state
        assert row.state != ExecutionState.SUSPENDING or row.live > row.asleep
        assert row.state != ExecutionState.RUNNING or row.live or row.backlog

    def check_run(self, row: Row[Any], run: Mark, marks: list[Mark], below: list[Row[Any]]) -> None:
        if run.state is not TaskState.RUNNING:
            return
        workers = [mark for mark in marks if (mark.item != WHOLE) == bool(run.items)]
        under_way = {mark.key: mark.attempt for mark in workers if mark.state is TaskState.RUNNING}
        keys = [
            (c.parent_node, c.parent_iteration, *(() if c.parent_item is None else (c.parent_item,))) for c in below
        ]
        asleep = [key for key, child in zip(keys, below, strict=True) if under_way.get(key) == child.parent_attempt]
        assert run.asleep == len(asleep)
        if run.items:
            items = [mark for mark in marks if WHOLE < mark.item < run.items.total]
            begun = [m for m in items if m.intent or m.state is not TaskState.PENDING]
            states = Counter(mark.state for mark in begun)
            ended = sum(states[state] for state in FINAL_TASK_STATES)
            told = (len(begun), ended, states[TaskState.FAILURE], states[TaskState.CANCELLED])
            assert (run.items.begun, run.items.done, run.items.failed, run.items.cancelled) == told

    def check_end(self) -> None:
        left = {row.id: row.state for row in self.executions() if row.state not in FINAL_EXECUTION_STATES}
        assert not left
        assert not self.read(t.outbox)


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("seed", range(12))
def test_the_books_of_random_trees_equal_the_marks_and_all_come_to_their_end(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("lazyengine.engine.BREATH_SECONDS", 0)
    tree = Tree(database, seed)
    for _ in range(25):
        tree.anything()
        tree.check()
    tree.finish()
    tree.check()
    tree.check_end()
