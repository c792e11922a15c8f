"""What the core is given to decide on, and what a decision is: values, which the shell loads and saves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lazyengine.core.graph import Key, Node
from lazyengine.core.state import Event, Header, Mark


@dataclass(frozen=True, slots=True)
class Token:
    """The verdict of a link on its way: `live` edges of the run `source` fired; `settled` when no more can come."""

    to: int
    live: int
    settled: bool = True
    source: Key | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The header and the neighbourhood of one event: the nodes it reaches and the marks they have."""

    header: Header
    nodes: Mapping[int, Node]
    marks: Mapping[Key, Mark]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event changes: the new header, the changed marks, the next wave, the history."""

    header: Header
    marks: Mapping[Key, Mark] = field(default_factory=dict)
    wave: tuple[Token, ...] = ()
    events: tuple[Event, ...] = ()
    steps: int = 0
