"""Plain paths, such as `<% $.a.b %>` and `{{ task('x').result.c }}`, which need no evaluator.

A path is followed through dictionaries alone; where it leaves them, or where a name is missing, the evaluator
decides, so that values and errors are the same either way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lazyengine.compilers.expressions.view import View


class Missing:
    """The answer of a path that has to be evaluated."""


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Shortcut:
    """
    :param root: `$` for the variables, or the function that gives the dictionary: task, env
    :param task: the name given to `task()`; None: the current one
    :param names: the path from there
    """

    root: str
    task: str | None
    names: tuple[str, ...]

    def follow(self, view: View) -> Any | Missing:
        """Return the value, not copied; `MISSING` where it takes an evaluator to tell."""
        value = self._start(view)
        for name in self.names:
            if not isinstance(value, Mapping) or name not in value:
                return MISSING
            value = value[name]
        return value

    def _start(self, view: View) -> Any:
        if self.root == "$":
            return view.root[0] if view.root else view.variables
        if self.root == "env":
            return view.env
        if not view.task or self.task in (None, view.task.get("name")):
            return view.task
        return view.tasks.get(self.task)


def is_plain(name: str) -> bool:
    """Tell whether a name is an ordinary one, in both languages: no method of a dictionary, nothing of Mistral's."""
    return not name.startswith("_") and not hasattr(dict, name)
