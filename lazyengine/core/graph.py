"""What a compiled workflow is: nodes, edges and their joins.  Immutable; the same for every execution of it.

==========  =============================================================================================
node        a task as the definition names it; its id is its place in the definition, from 0
edge        "when this node ends so, go there or do that"; ordered as Mistral orders commands
link        all edges from one node to another, taken together; a link brings one verdict, live or dead
join        how many links have to be live before a node runs; ``EACH`` runs it once for every live edge
command     what an edge does instead of leading to a node: fail, succeed, pause, noop
==========  =============================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Key = tuple[int, int]
"""A run: (node, iteration)."""

Guard = str | bool
"""The condition of an edge: an expression, or a literal truth."""


class On(StrEnum):
    """Which end of a node an edge answers to."""

    SUCCESS = "on-success"
    ERROR = "on-error"
    COMPLETE = "on-complete"


class Command(StrEnum):
    """What an edge does to the execution when it does not lead to a node (Mistral: workflow/commands.py)."""

    FAIL = "fail"
    SUCCEED = "succeed"
    PAUSE = "pause"
    NOOP = "noop"


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of an on-success, on-error or on-complete list.

    :param to: the id of the node that it leads to, or a command
    :param guard: a condition that the host decides; None is always true
    :param message: what a fail, succeed or pause command has to say
    """

    on: On
    to: int | Command
    guard: Guard | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A task of the graph.

    :param join: how many links must be live: a number, or None for EACH (every live edge is a run of its own)
    :param indegree: how many different nodes lead here
    :param repeats: it can run more than once, so its links are settled only when its last run has ended
    :param heeds: the nodes it leads to that have to know when it does *not* choose them: joins, and those above one
    :param joins: the nodes it leads to that are joins
    :param beyond: of a heeded node that counts nothing itself: whom to tell in its place when it is not chosen
    :param action: who does the work; None waits to be completed from outside
    :param publish: by final state and scope ("branch", "global"): variables and what they become
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
    action: str | None = None
    target: str = "default"
    input: dict[str, Any] = field(default_factory=dict)
    publish: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

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
    :param vars: variables that every task sees
    :param output: what a successful execution puts out, or None where the definition does not say
    :param publishes: some task publishes variables
    :param output_on_error: what one that failed puts out beside its message
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
    tags: tuple[str, ...] = ()
