"""Hold two outcomes of a job against each other."""

import json
import re
from collections import Counter
from typing import Any

STATES = {
    "ERROR": "FAILURE",
    "PAUSED": "SUSPENDED",
    "IDLE": "PENDING",
    "WAITING": "PENDING",
    "RUNNING_DELAYED": "DELAYED",
}
UNREACHED = {"PENDING"}


OWN = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:\d+:\d+)?"), "an id"),
    (re.compile(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "a time"),
    (re.compile(r"The action raised an exception \[action=Fail action, action_ex_id=an id, msg='(.*?)'\]"), r"\1"),
    (re.compile(r'"(Failure caused by error in tasks: |Task \'[^\']*\' failed)([^"\\]|\\.)*"'), '"why it failed"'),
)
"""What is each engine's own: ids, times, what its executor says around the words of a failed action, and what it says
of a workflow that failed."""


def canonical(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    for pattern, word in OWN:
        text = pattern.sub(word, text)
    return text


def output_of(outcome: dict[str, Any]) -> Any:
    """Return the output without the words of an error, which are each engine's own."""
    output = outcome["output"]
    if STATES.get(outcome["state"], outcome["state"]) == "SUCCESS" or not isinstance(output, dict):
        return output
    result = output.get("result")
    own_words = result is None or result == outcome.get("info")
    return {name: value for name, value in output.items() if name != "result" or not own_words}


def runs_of(outcome: dict[str, Any]) -> Counter[str]:
    """Return how often each task ended in which state, after how many runs, with what published."""
    told: Counter[str] = Counter()
    for task in outcome["tasks"]:
        state = STATES.get(task["state"], task["state"])
        if state in UNREACHED:
            continue
        if "runs" in task:
            told[canonical([task["name"], state, task["runs"], task["published"] or {}])] += 1
        else:
            told[canonical([task["name"], state])] += 1
    return told


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Say in what the outcomes differ; nothing where they are the same."""
    if "refused" in theirs or "refused" in ours or "timeout" in theirs:
        if "refused" in theirs and "refused" in ours:
            return []
        return [f"refused or timed out: theirs {theirs.get('state', theirs)}, ours {ours.get('state', ours)}"]
    found = []
    if STATES.get(theirs["state"], theirs["state"]) != ours["state"]:
        found.append(f"state: theirs {theirs['state']} ({theirs['info']}), ours {ours['state']} ({ours['info']})")
    if canonical(output_of(theirs)) != canonical(output_of(ours)):
        found.append(f"output: theirs {output_of(theirs)}, ours {output_of(ours)}")
    their_runs, our_runs = runs_of(theirs), runs_of(ours)
    found += [f"task: only theirs {row} x{n}" for row, n in (their_runs - our_runs).items()]
    found += [f"task: only ours {row} x{n}" for row, n in (our_runs - their_runs).items()]
    return found
