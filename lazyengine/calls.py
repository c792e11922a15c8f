"""Calling the atoms of TaskFlow's flows, in an executor."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from taskflow.atom import Atom


class Unfinished(Enum):
    """What a task returns that somebody else will complete; it is the same object in every process."""

    UNFINISHED = "unfinished"


UNFINISHED = Unfinished.UNFINISHED

CONTROLLER_NOT_JSON = "what a retry controller returns has to be JSON, and a list instead of a tuple"
"""It is kept as JSON, and compared with what the controller has still to try."""


@dataclass(frozen=True, slots=True)
class Call:
    """What runs in an executor: a task, or its revert, with its arguments by name; it can be pickled if these can."""

    atom: Atom
    reverts: bool
    arguments: Mapping[str, Any]

    def __call__(self) -> Any:
        """Call it, and what TaskFlow calls before and after it (`engines/action_engine/executor.py`)."""
        try:
            if self.reverts:
                self.atom.pre_revert()
                return self.atom.revert(**self.arguments)
            self.atom.pre_execute()
            return self.atom.execute(**self.arguments)
        finally:
            (self.atom.post_revert if self.reverts else self.atom.post_execute)()
