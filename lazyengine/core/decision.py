"""What the core is given to decide on, and what a decision is: values, which the shell loads and saves.

What every decision makes anew is a named tuple, headers and events too: that takes 0.3 microseconds, where a frozen
dataclass takes 1.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from lazyengine.core.graph import Depth, Key, Node
from lazyengine.core.state import Event, Header, Mark, Strategy


class Errand(StrEnum):
    """What a token has to say."""

    VERDICT = "verdict"
    WITHDRAW = "withdraw"  # the dead verdict that was told does not hold any more: the run that gave it runs again
    REST = "rest"  # look whether a loop has come to its end
    IGNORE = "ignore"  # a decider said no, as deep as the token says
    RENEW = "renew"  # be ignored no more: what stands before it is run again
    UNDONE = "undone"  # one of those that it led to has been undone
    OPEN = "open"  # to a controller: revert the region because the run `source` has failed
    ASK = "ask"  # to a controller: it is to be asked what to do about the failure of the run `source`
    RETRY = "retry"  # to a controller: run the region again


VERDICT = Errand.VERDICT


class Token(NamedTuple):
    """The verdict of a link on its way: `live` edges of the run `source` fired; `settled` when no more can come.

    :param loop: the loop of the node that it comes from
    :param depth: of IGNORE: how far it goes on
    :param strategy: of OPEN: what then
    :param again: a token may have started the node before: the run that it comes from has ended before
    """

    to: int
    live: int
    settled: bool = True
    source: Key | None = None
    loop: int | None = None
    again: bool = False
    errand: Errand = VERDICT
    depth: Depth | None = None
    strategy: Strategy | None = None


class Slice(NamedTuple):
    """The header and the neighbourhood of one event: the nodes it reaches and the marks they have.

    For OPEN and RETRY that is the whole region: all marks in its range of ids, their nodes, and the last node.
    """

    header: Header
    nodes: Mapping[int, Node]
    marks: Mapping[Key, Mark]


NO_MARKS: Mapping[Key, Mark] = {}


class Decision(NamedTuple):
    """What one event changes: the new header, the changed marks, the next wave, the history."""

    header: Header
    marks: Mapping[Key, Mark] = NO_MARKS
    wave: tuple[Token, ...] = ()
    events: tuple[Event, ...] = ()
    steps: int = 0
