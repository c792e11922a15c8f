"""What a compiled workflow is: nodes, edges and their joins.  Immutable; the same for every execution of it.

==========  =============================================================================================
node        a task as the definition names it; its id is its place in the definition, from 0
edge        "when this node ends so, go there or do that"; ordered as Mistral orders commands
link        all edges from one node to another, taken together; a link brings one verdict, live or dead
join        how many links have to be live before a node runs; ``EACH`` runs it once for every live edge
command     what an edge does instead of leading to a node: fail, succeed, pause, noop
gate        a node that stands for the beginning or the end of a flow; it ends by itself
region      the nodes that are reverted, and run again, as one: a range of ids that begins with its controller
==========  =============================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Key = tuple[int, ...]
"""A run: (node, iteration); or one item of it: (node, iteration, item)."""

Guard = str | bool
"""The condition of an edge: an expression, or a literal truth."""


class On(StrEnum):
    """Which end of a node an edge answers to."""

    SUCCESS = "on-success"
    ERROR = "on-error"
    COMPLETE = "on-complete"
    SKIP = "on-skip"


class Command(StrEnum):
    """What an edge does to the execution when it does not lead to a node (Mistral: workflow/commands.py)."""

    FAIL = "fail"
    SUCCEED = "succeed"
    PAUSE = "pause"
    NOOP = "noop"


class Kind(StrEnum):
    """What a node is (TaskFlow: `engines/action_engine/compiler.py`)."""

    TASK = "task"
    RETRY = "retry"
    GATE = "gate"


class Depth(StrEnum):
    """What is ignored where a decider says no, the widest first (TaskFlow: `deciders.py`)."""

    ALL = "ALL"  # whatever stands behind it
    FLOW = "FLOW"  # the tasks behind it, as far as only tasks stand between
    NEIGHBORS = "NEIGHBORS"  # it and the tasks right behind it
    ATOM = "ATOM"  # nothing but itself


@dataclass(frozen=True, slots=True)
class Decider:
    """What has a say in whether a node runs once it has all its links.

    :param link: the nodes at both ends of the link that it stands at
    """

    link: tuple[int, int]
    depth: Depth


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of an on-success, on-error or on-complete list.

    :param to: the id of the node that it leads to, or a command
    :param guard: a condition that the host decides; None is always true
    :param message: what a fail, succeed or pause command has to say; may hold expressions
    """

    on: On
    to: int | Command
    guard: Guard | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """When a run is tried again (Mistral: `engine/policies.py`, RetryPolicy); each may be an expression.

    :param count: how often at most, beside the first attempt
    :param delay_seconds: how long to wait before each
    :param break_on: true after a failure: no more
    :param continue_on: true, even after a success: once more; false: no more
    """

    count: int | str
    delay_seconds: float | str = 0
    break_on: Guard | None = None
    continue_on: Guard | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens around the runs of a node (Mistral: `lang/v2/policies.py`); what is a string is an expression.

    :param pause_before: suspend the execution before it runs
    :param wait_before_seconds: between its turn and its start
    :param wait_after_seconds: between its end and what follows
    :param timeout_seconds: an unfinished run fails after so long; 0 is never
    :param concurrency: items that run at a time; 0 is all
    :param fail_on: true turns a success into a failure
    :param keep_result: False drops the result once it was published
    :param safe_rerun: False: it fails where nobody knows whether it ran, and does not run again; None is not said
    """

    pause_before: Guard = False
    wait_before_seconds: float | str = 0
    wait_after_seconds: float | str = 0
    timeout_seconds: float | str = 0
    concurrency: int | str = 0
    fail_on: Guard = False
    retry: Retry | None = None
    keep_result: bool = True
    safe_rerun: Guard | None = None

    @property
    def comes_first(self) -> bool:
        """Whether there is something to evaluate before a run begins; most tasks have nothing."""
        waits = self.pause_before or self.wait_before_seconds or self.wait_after_seconds or self.timeout_seconds
        return bool(waits or self.concurrency or self.retry)


NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class AdHoc:
    """An action of a workbook, on the way to the one that it is based on (Mistral: `actions/adhoc.py`).

    :param input: its declared inputs that have a default, with it
    :param required: those that have to be given
    :param base_input: the input of its base, over its own input
    :param output: what becomes of the result of its base, over that result; None leaves it as it is
    """

    input: dict[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    base_input: dict[str, Any] = field(default_factory=dict)
    output: Any = None


@dataclass(frozen=True, slots=True)
class Loop:
    """What has to be known of nodes that can reach each other; kept at the first of them.

    :param entries: how many links lead into it from outside
    :param joins: the nodes in it that join
    :param exits: its links (from, to) to nodes outside of it that have to know when they are not chosen
    """

    entries: int
    joins: tuple[int, ...] = ()
    exits: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A task of the graph.

    :param join: how many links must be live: a number, or None for EACH (every live edge is a run of its own)
    :param indegree: how many different nodes lead here
    :param repeats: it can run more than once, so its links are settled only when its last run has ended
    :param heeds: the nodes it leads to that have to know when it does *not* choose them: joins, and those above one
    :param joins: the nodes it leads to that join outside of a loop, and so hear of it once
    :param beyond: of a heeded node that counts nothing itself: whom to tell in its place when it is not chosen
    :param loop: the first node of the loop that it is in, where joins in it or behind it have to be told of its end
    :param loop_facts: of that first node: what there is to know of its loop
    :param ends: what it published counts for the end of the execution if it leads no further
    :param action: who does the work, may be an expression; None waits to be completed from outside
    :param workflow: the workflow that does the work instead, may be an expression
    :param target: who is to run it, may be an expression
    :param input: parameters, or an expression that gives them
    :param items: with-items: variables and the lists that they take their values from; {} is no with-items
    :param adhoc: the ad-hoc actions between the task and `action`, the one that the task names first
    :param publish: by final state and scope ("branch", "global"): variables and what they become
    :param spec: the task as it is written, where some expression may read that
    :param kind: what it is; a workflow has nothing but tasks
    :param controllers: the nodes that control the regions that it fails in, from the inside out; the last is that of
        the whole graph, which is reverted without being asked; () where failures are told along edges
    :param region: of a controller: the last node of its region
    :param deciders: who has a say in whether it runs
    :ivar lead: what its success comes to where that is always the same, once it was worked out (`telling.Lead`)
    """

    id: int
    name: str
    join: int | None = None
    indegree: int = 0
    repeats: bool = False
    edges: tuple[Edge, ...] = ()
    heeds: tuple[int, ...] = ()
    joins: frozenset[int] = frozenset()
    beyond: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    loop: int | None = None
    loop_facts: Loop | None = None
    ends: bool = True
    action: str | None = None
    workflow: str | None = None
    target: str = "default"
    input: dict[str, Any] | str = field(default_factory=dict)
    items: dict[str, Any] = field(default_factory=dict)
    adhoc: tuple[AdHoc, ...] = ()
    policy: Policy = NO_POLICY
    publish: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    kind: Kind = Kind.TASK
    controllers: tuple[int, ...] = ()
    region: int | None = None
    deciders: tuple[Decider, ...] = ()
    lead: Any = field(default=None, init=False, repr=False, compare=False)

    @property
    def counts(self) -> bool:
        """Whether it has to be remembered what came over its links: it joins, or can run more than once."""
        return self.join is not None or self.repeats


@dataclass(frozen=True, slots=True)
class Graph:
    """The head of a compiled workflow; its nodes are stored one by one and never needed all at once.

    :param roots: the nodes that nothing leads to; an execution starts with them
    :param size: how many nodes there are
    :param input: the declared inputs that have a default, with it
    :param required: the declared inputs that the caller has to give
    :param optional: those that it may give and that have no default
    :param vars: variables that every task sees
    :param output: what a successful execution puts out, or None where the definition does not say
    :param publishes: some task publishes variables
    :param book: the workbook that it stands in, or ''
    :param siblings: the workflows of its document, itself too, where some task is a workflow
    :param output_on_error: what one that failed puts out beside its message
    :param spec: the workflow as it is written, where some expression may read that
    """

    workflow: str
    roots: tuple[int, ...]
    size: int
    input: dict[str, Any]
    required: tuple[str, ...]
    vars: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    output_on_error: Any = None
    publishes: bool = False
    book: str = ""
    siblings: tuple[str, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def nests(self) -> bool:
        """Whether some task is a workflow."""
        return bool(self.siblings)

    def sibling(self, name: str) -> str | None:
        """Return what a workflow that a task names is called from outside, if it is one of its document.

        Source: Mistral's `engine/utils.py`, resolve_workflow_definition.
        """
        candidates = (f"{self.book}.{name}", name) if self.book else (name,)
        return next((candidate for candidate in candidates if candidate in self.siblings), None)
