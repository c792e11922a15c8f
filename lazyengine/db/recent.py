"""How a process left the executions that it had to do with last: it may decide upon that before it has read anything.

This is optimistic concurrency control.  What is decided upon it is written only if the execution is still at the
generation at which it was left, which every decision moves on; if it is not, or if something is asked for that is not
known here, all is read and decided anew under the lock.  So nothing depends on it, and a process that has just started
does the same.  Where several processes change the same executions in turns it is mostly wrong, and then is not asked:
see `Recent.is_trusted`.

Measured on PostgreSQL with PUTs of 8 connections: 533 completions a second in place of 453 in the same run, and 3.3
milliseconds of CPU each (application and database) in place of 4.0: one message to the server in place of two.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from lazyengine.core.state import Header, Mark

MOST_RUNS = 8_192
"""In all executions; each takes about a kilobyte."""

MOST_RUNS_EACH = 256
"""In one execution: with each decision they are copied."""

READ_AT_ONCE = 64
"""Runs of an execution up to which all are read with its lock, so that it is known that the other nodes have none."""

MOST_TRUST, ENOUGH_TRUST, COST_OF_A_MISTAKE = 16, 8, 4
"""What is wrong costs about four times what it spares when it is right."""

MOST_UNFIT = 10_000


@dataclass(slots=True)
class Run:
    """The first run of a node: its mark, and what an answer says of it beyond that, as a row has it."""

    mark: Mark
    action: str | None
    target: str | None
    child_id: str | None
    outcome_digest: str | None
    created_at: datetime
    claimed_by: str | None = None
    progress: float | None = None
    lease_expires_at: datetime | None = None

    def copy(self) -> "Run":
        """Return the same without what a claim or a heartbeat has written: the end of the task will tell."""
        return Run(self.mark, self.action, self.target, self.child_id, self.outcome_digest, self.created_at)

    @property
    def attempt(self) -> int:
        return self.mark.attempt

    @property
    def iteration(self) -> int:
        return self.mark.iteration

    @property
    def runs(self) -> int:
        return self.mark.runs


class Seen(NamedTuple):
    """An execution as it was left.

    :param runs: by the id of the node; None: it has none
    :param is_complete: nodes that are not among them have none
    """

    header: Header
    runs: Mapping[int, Run | None]
    is_complete: bool


UNKNOWN = Seen(Header(), {}, is_complete=False)
"""An execution of which too much would have to be read to know all."""


class Recent:
    """What a process remembers of executions, the oldest given up first.  For any thread."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._runs = 0
        self._trust = MOST_TRUST
        self._unfit: dict[tuple[int, str], None] = {}
        self._lock = threading.Lock()  # of those who write

    @property
    def is_trusted(self) -> bool:
        """Whether it was right of late so often that it pays to decide upon it."""
        return self._trust >= ENOUGH_TRUST

    def learn(self, was_right: bool) -> None:
        """Take note of whether an execution was as it had been left, also where it was not asked.

        What is not remembered (any more) is as good as wrong: to read all of it anew has to pay.
        """
        change = 1 if was_right else -COST_OF_A_MISTAKE
        self._trust = max(0, min(MOST_TRUST, self._trust + change))

    def get(self, execution_id: str) -> Seen | None:
        """Return how an execution was left."""
        return self._seen.get(execution_id)

    def keep(self, execution_id: str, seen: Seen | None) -> None:
        """Remember how an execution was left; None: forget it."""
        with self._lock:
            self._drop(execution_id)
            if seen is not None:
                self._seen[execution_id] = seen
                self._runs += 1 + len(seen.runs)
            while self._runs > MOST_RUNS:
                self._drop(next(iter(self._seen)))

    def _drop(self, execution_id: str) -> None:
        before = self._seen.pop(execution_id, None)
        if before is not None:
            self._runs -= 1 + len(before.runs)

    def is_fit(self, graph_id: int, task: str) -> bool:
        """Tell whether the end of a task may be decided without reading, as far as was seen."""
        return (graph_id, task) not in self._unfit

    def note_unfit(self, graph_id: int, task: str) -> None:
        """Take note that the end of a task has asked for more than is remembered."""
        with self._lock:
            self._unfit[graph_id, task] = None
            if len(self._unfit) > MOST_UNFIT:
                del self._unfit[next(iter(self._unfit))]

    def clear(self) -> None:
        """Forget all: the database may be another one behind the same address."""
        with self._lock:
            self._seen.clear()
            self._unfit.clear()
            self._runs = 0


def left(before: Seen, header: Header, runs: Mapping[int, Run]) -> Seen:
    """Return how a decision leaves an execution.  Where it has too many runs, those that are over are given up."""
    all_runs: dict[int, Any] = {**before.runs, **runs}
    if len(all_runs) <= MOST_RUNS_EACH:
        return Seen(header, all_runs, before.is_complete)
    under_way = {id: run for id, run in all_runs.items() if run is not None and run.mark.finished_at is None}
    return Seen(header, under_way if len(under_way) <= MOST_RUNS_EACH else dict(runs), False)


def joined(before: Seen, read: Seen) -> Seen:
    """Return an execution of which more was read, and which is as it was left."""
    return Seen(read.header, {**before.runs, **read.runs}, before.is_complete or read.is_complete)
