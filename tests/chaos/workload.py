"""What is run meanwhile: the random workflows of the oracle, and layers in which every task leads to every next one."""

import sys
from pathlib import Path
from random import Random
from typing import Any

import yaml

sys.path.append(str(Path(__file__).parents[1] / "oracle" / "workflows"))

from random_workflows import FEATURES, job

LAYERS = 4


def workload(seed: int, targets: list[str]) -> dict[str, Any]:
    """Return the body of a POST /executions without its id: the same seed gives the same one.

    What would be completed from outside is done by workers of one of `targets`.
    """
    dice = Random(f"chaos-{seed}")
    if dice.random() < 0.3:
        made = {"definition": yaml.safe_dump(layers(dice.randint(2, 4)), sort_keys=False), "workflow": "w"}
    else:
        full = job(seed, set(FEATURES) - {"timeout"})
        made = {name: full[name] for name in ("definition", "workflow", "input", "params")}
    document = yaml.safe_load(made["definition"])
    for name in document.keys() - {"version"}:
        for task in document[name]["tasks"].values():
            if task.get("action") == "std.async_noop":
                target = dice.choice(targets)
                task |= {"action": "chaos.step", "target": target}
                if target == "default":  # for `lazyengine work`
                    task |= {"action": "std.sleep", "input": {"seconds": 0.02}}
    made["definition"] = yaml.safe_dump(document, sort_keys=False, width=110)
    return made


def layers(width: int) -> dict[str, Any]:
    """Return a definition of `LAYERS` layers of `width` tasks, each a join of the whole layer before."""
    names = [[f"t{layer}_{at}" for at in range(width)] for layer in range(LAYERS)]
    tasks: dict[str, Any] = {}
    for layer, row in enumerate(names):
        for name in row:
            tasks[name] = {"action": "std.async_noop"} | ({"join": "all"} if layer else {})
            if layer + 1 < LAYERS:
                tasks[name]["on-complete"] = names[layer + 1]
    return {"version": "2.0", "w": {"tasks": tasks}}
