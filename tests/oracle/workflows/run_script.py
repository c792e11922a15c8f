"""How the asynchronous runs of a job end, and in which order: the same for both engines, whatever each calls them.

A run is named by its path from the root: ``task#ordinal[item]``, parts of sub-workflows behind a slash.  A job has
under ``script``: ``seed`` (order and outcomes), ``success`` (how probable a success is), ``outcomes`` ({path or task:
[state, result]}), ``never`` (tasks whose runs nobody ends) and ``steer`` ([[after how many ended runs, "pause" |
"resume" | "cancel"], …]).  Plain Python of any version: Mistral's interpreter imports it, too.
"""

import hashlib

LIMIT = 60
"""So many runs are ended in one job, then it is left as it stands."""

RESUMES = 6
"""So often an execution that is paused with nothing under way is resumed."""


def number(*parts):
    """Return a number in [0, 1) that depends on nothing but the parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Script:
    """Decide what happens next; holds only how far the job is."""

    def __init__(self, script):
        self.seed = script.get("seed", 0)
        self.success = script.get("success", 1.0)
        self.outcomes = script.get("outcomes", {})
        self.never = set(script.get("never", ()))
        self.steps = [tuple(step) for step in script.get("steer", ())]
        self.ended = self.resumed = 0

    def steering(self):
        """Return the steering step that is due, or None."""
        if self.steps and self.steps[0][0] <= self.ended:
            return self.steps.pop(0)[1]
        return None

    def choose(self, paths):
        """Return which of the open runs ends next, or None."""
        mine = [path for path in paths if task_of(path) not in self.never]
        if not mine or self.ended >= LIMIT:
            return None
        self.ended += 1
        return min(mine, key=lambda path: number(self.seed, "order", path))

    def outcome(self, path):
        """Return the state and the result of a run."""
        given = self.outcomes.get(path) or self.outcomes.get(task_of(path))
        if given:
            return given[0], given[1]
        failed = number(self.seed, "outcome", path) >= self.success
        return ("FAILURE" if failed else "SUCCESS"), path

    def may_resume(self):
        """Tell whether to resume an execution that waits for nothing else."""
        self.resumed += 1
        return self.resumed <= RESUMES


class Ordinals:
    """Count the runs of each task, to tell them apart."""

    def __init__(self):
        self.seen = {}

    def path(self, parent, task, item):
        """Return the path of a new run."""
        name = f"{parent}/{task}" if parent else task
        counted = f"{name}[{item}]"
        self.seen[counted] = self.seen.get(counted, 0) + 1
        return f"{name}#{self.seen[counted]}[{item}]"


def task_of(path):
    """Return the name of the task of a run."""
    return path.rpartition("/")[2].partition("#")[0]
