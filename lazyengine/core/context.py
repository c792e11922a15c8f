"""What a run sees of the variables that were published before it, and what becomes of them where branches join.

Theory of operation:

1. A context maps the name of a variable to a *slot*: something that stands for its value, so that contexts are copied
   without copying values.  Slots that are equal stand for equal values.
2. Publishing replaces a variable, and raises the version of each of its leaves (a value that is no object; `a.b` is the
   leaf `b` of the variable `a`) by one (Mistral: `workflow/context_versioning.py`).
3. Where branches join, objects are merged key by key.  Where two leaves differ the higher version wins, and at equal
   versions the branch whose last task stands later in the definition (ours: Mistral leaves it to chance).
4. Branches are merged one by one as they come; `origins` remembers which branch a leaf came from, so the order in which
   they come does not matter.  What comes once more from the same node takes the place of what came before.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Slot = Any
"""Stands for a value; comparable."""

BASE = ""
"""The key in `origins` of the branch that everything came from which no other key names."""


@dataclass(frozen=True)
class Context:
    """Variables by name, versions by leaf, and while a join waits the origin (a node) by leaf.

    :param before: of a run that failed and published then: what it saw before
    """

    slots: Mapping[str, Slot] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, int] = field(default_factory=dict)
    before: "Context | None" = None


EMPTY = Context()


def leaves(value: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Name every leaf of an object."""
    for key, member in value.items():
        here = f"{path}.{key}" if path else key
        if isinstance(member, dict):
            yield from leaves(member, here)
        else:
            yield here


def merged(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Put one object over another, key by key (Mistral: `mistral_lib/utils`, merge_dicts)."""
    found = dict(left)
    for key, value in right.items():
        mine = found.get(key)
        found[key] = merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return found


def publish(context: Context, values: Mapping[str, Any], write: Callable[[Any], Slot]) -> Context:
    """Return the context with these variables replaced."""
    versions = dict(context.versions)
    for leaf in leaves(values):
        versions[leaf] = versions.get(leaf, 0) + 1
    slots = {**context.slots, **{name: write(value) for name, value in values.items()}}
    return Context(slots, versions, context.origins, context.before)


def join(
    waiting: Context | None,
    branch: Context,
    origin: int,
    read: Callable[[Slot], Any],
    write: Callable[[Any], Slot],
) -> Context:
    """Merge one more branch, which came from the node `origin`, into what a join has heard so far (None: nothing)."""
    if waiting is None:
        return Context(branch.slots, branch.versions, {BASE: origin})
    merge = _Merge(waiting, branch, origin)
    slots = dict(waiting.slots)
    for name, slot in branch.slots.items():
        if name not in slots:
            slots[name] = slot
            merge.origins[name] = origin
        elif slots[name] != slot:
            slots[name] = write(merge.values(read(slots[name]), read(slot), name))
    versions = dict(waiting.versions)
    for leaf, version in branch.versions.items():
        versions[leaf] = max(version, versions.get(leaf, 0))
    return Context(slots, versions, merge.origins)


class _Merge:
    """The merge of one branch: who wins at which leaf."""

    def __init__(self, waiting: Context, branch: Context, origin: int) -> None:
        self.old, self.new, self.origin = waiting.versions, branch.versions, origin
        self.origins = dict(waiting.origins)

    def values(self, left: Any, right: Any, path: str) -> Any:
        if isinstance(left, dict) and isinstance(right, dict):
            merged = dict(left)
            for key, value in right.items():
                here = f"{path}.{key}"
                if key not in left:
                    merged[key] = value
                    self.origins[here] = self.origin
                elif left[key] != value:
                    merged[key] = self.values(left[key], value, here)
            return merged
        mine = (self.new.get(path, 0), self.origin)
        if mine >= (self.old.get(path, 0), self.origin_of(path)):
            self.origins[path] = self.origin
            return right
        return left

    def origin_of(self, path: str) -> int:
        while path not in self.origins:
            path = path.rpartition(".")[0]
        return self.origins[path]
