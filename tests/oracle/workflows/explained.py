"""Differences that are meant: each a predicate over a job, both outcomes and what differs, with its reason."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import yaml

from lazyengine.compilers.workflow import compile_definition
from lazyengine.core.graph import Node
from lazyengine.errors import LazyEngineError

Job = dict[str, Any]
Outcome = dict[str, Any]
Predicate = Callable[[Job, Outcome, Outcome, list[str]], bool]
NOT_SERVED = ("not supported yet", "not served")
PARTIAL = re.compile(r"join: *['\"]?(one|\d)")
PAUSE = re.compile(r"\bpause\b|pause-before")
END = re.compile(r"\b(fail|succeed)\b")


def not_served(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return any(words in ours.get("refused", "") for words in NOT_SERVED)


def refused_by_mistral(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """Accepted by ours: fail(msg="m") without a blank inside."""
    return "refused" in theirs and bool(re.search(r"\b(fail|succeed|pause)\(msg=", job["definition"]))


def wrong_parameters(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return theirs.get("state") == "ERROR" and "has no parameter" in ours.get("refused", "")


def hangs(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return theirs.get("state") in ("RUNNING", "PAUSED") and ours["state"] != "RUNNING" and paused(job)


def paused(job: Job) -> bool:
    steered = any(step in ("pause", "resume") for _, step in job["script"].get("steer", ()))
    return steered or bool(PAUSE.search(job["definition"]))


def partial_join(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return bool(PARTIAL.search(job["definition"]))


def backlog_forgets_joins(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """It runs where ours finds it lost, or runs once for each trigger."""
    counted = Counter(task["name"] for task in theirs.get("tasks", ()) if task.get("runs"))
    lost = {task["name"] for task in ours.get("tasks", ()) if task.get("runs") == 0 and task["state"] == "FAILURE"}
    joins = {name for body in yaml.safe_load(job["definition"]).values() for name in joins_of(body)}
    return paused(job) and bool(counted.keys() & lost or {name for name in joins if counted[name] > 1})


def paused_error(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return paused(job) and "Cannot evaluate" in (ours.get("info") or "")


def join_twice(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """Its inbound task runs twice; rows of the join itself have to be among what differs."""
    joins = {name for body in yaml.safe_load(job["definition"]).values() for name in joins_of(body)}
    counted = Counter(task["name"] for task in theirs.get("tasks", ()))
    several = any(count > 1 and name not in joins for name, count in counted.items())
    return several and any(f'["{name}"' in row for row in found for name in joins)


def joins_of(workflow: Any) -> set[str]:
    tasks = workflow.get("tasks", {}) if isinstance(workflow, dict) else {}
    return {name for name, task in tasks.items() if task and "join" in task}


def tasks_of(workflow: Any) -> list[dict[str, Any]]:
    tasks = workflow.get("tasks", {}) if isinstance(workflow, dict) else {}
    return [task for task in tasks.values() if task]


def goes_on_after_the_end(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    cancelled = any(step == "cancel" for _, step in job["script"].get("steer", ()))
    ended = bool(END.search(job["definition"])) or cancelled
    return ended and ours.get("state") != "RUNNING" and all(row.startswith("task:") for row in found)


def lost_at_once(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """Of the execution it changes at most the output, and nothing where nothing else ends it."""
    rows = [row for row in found if not row.startswith("output")]
    return bool(rows) and all(row.startswith("task: only") and '"FAILURE", 0' in row for row in rows)


def dictionary_in_global(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return bool(re.search(r"global:\n( +)[\w-]+:\n\1 +\w+:", job["definition"]))


def runs_of_one_task(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    counted = Counter(task["name"] for task in ours.get("tasks", ()))
    return max(counted.values(), default=0) > 1 and (paused(job) or all(row.startswith("output") for row in found))


def nodes_of(job: Job) -> list[Node]:
    """Return the nodes of a job's workflow, or none where ours refuses it."""
    return compiled(job["definition"], job.get("workflow"))


def compiled(definition: str, workflow: str | None) -> list[Node]:
    try:
        return compile_definition(definition, workflow, "std.noop", 1000)[1]
    except LazyEngineError:
        return []


def nested_by(job: Job) -> list[list[Node]]:
    """Return the nodes of each workflow of the definition that a task names."""
    tasks = [task for body in yaml.safe_load(job["definition"]).values() for task in tasks_of(body)]
    names = {task["workflow"] for task in tasks if "workflow" in task}
    return [compiled(job["definition"], name) for name in sorted(names)]


def joins_in_a_loop(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """The rule of a join in a loop is ours."""
    workflows = (nodes_of(job), *nested_by(job))
    return any(node.join is not None and node.loop is not None for nodes in workflows for node in nodes)


def keeps_nested_result(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """Its `fail-on` reads a result that ours has dropped by then."""
    tasks = [task for body in yaml.safe_load(job["definition"]).values() for task in tasks_of(body)]
    dropped = [task for task in tasks if task.get("workflow") and task.get("keep-result") is False]
    return any("task()" in str(task.get("fail-on")) for task in dropped)


def waits_behind_a_loop(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """Mistral never notices that a join behind a loop is lost; ours fails it once the loop has come to rest."""
    lost = any(task.get("runs") == 0 and task["state"] == "FAILURE" for task in ours.get("tasks", ()))
    return theirs.get("state") == "RUNNING" and lost and has_loop(job)


def has_loop(job: Job) -> bool:
    left = {node.id: {edge.to for edge in node.edges if isinstance(edge.to, int)} for node in nodes_of(job)}
    while ends := [id for id, targets in left.items() if not targets & left.keys()]:
        for id in ends:
            del left[id]
    return bool(left)


def object_as_message(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    return bool(re.search(r"msg=<% *task\(\) *%>", job["definition"])) and all(
        row.startswith("output") for row in found
    )


def execution_shown_whole(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """Of what it shows, `params` and `root_execution_id` differ."""
    whole = re.search(r"<% *execution\(\) *%>", job["definition"])
    return bool(whole) and all("params" in row and "root_execution_id" in row for row in found)


def tie_at_a_lost_join(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> bool:
    """The order that the tests bring into Mistral's rows is another one for a join that fails without a run."""
    lost = any(task.get("runs") == 0 and task["state"] == "FAILURE" for task in ours.get("tasks", ()))
    only_output = bool(found) and all(row.startswith("output") for row in found)
    return lost and only_output and theirs["output"].keys() == ours["output"].keys()


EXPLAINED: dict[str, tuple[Predicate, str]] = {
    "not served": (not_served, "ours says so, with name and place"),
    "behind a loop": (waits_behind_a_loop, "ours fails a join that is lost once the loop before it is at rest"),
    "join in a loop": (joins_in_a_loop, "when it runs again is our own rule"),
    "kept result": (
        keeps_nested_result,
        "keep-result: false drops that of a sub-workflow too, in Mistral only of actions",
    ),
    "message": (refused_by_mistral, "fail(msg='m') without a blank inside means the same as with one"),
    "message of an object": (object_as_message, "a message that is no text is written as JSON"),
    "parameters": (execution_shown_whole, "the parameters of an execution are each engine's own"),
    "wrong parameters": (wrong_parameters, "ours refuses at the start what Mistral fails with"),
    "hangs": (hangs, "Mistral loses a join, or the check for the end, when tasks end while it is paused"),
    "partial join": (partial_join, "a join of one or N runs once, whatever comes later, with what was there"),
    "paused error": (paused_error, "in Mistral a failing expression does not end an execution that is paused"),
    "join twice": (join_twice, "a join runs once: Mistral runs it again when an inbound task ran again"),
    "backlog": (backlog_forgets_joins, "Mistral's backlog forgets that a task behind a pause is a join, and runs it"),
    "after the end": (goes_on_after_the_end, "final is final: Mistral goes on with tasks that it had created"),
    "lost at once": (lost_at_once, "ours tells that a join is lost at once, Mistral a job later, if at all"),
    "dictionary": (dictionary_in_global, "Mistral does not save what a global merges into a dictionary that is there"),
    "tie at a lost join": (tie_at_a_lost_join, "equally often published: Mistral has no rule"),
    "runs of one task": (runs_of_one_task, "equally often published by two runs of one task: Mistral has no rule"),
}


OURS_TO_MEND: dict[str, tuple[Predicate, str]] = {}
"""Faults of ours, to be taken out of here when they are mended."""


def explain(job: Job, theirs: Outcome, ours: Outcome, found: list[str]) -> str | None:
    """Return the name of the first explanation that fits."""
    for name, (fits, _) in (EXPLAINED | OURS_TO_MEND).items():
        if fits(job, theirs, ours, found):
            return name
    return None
