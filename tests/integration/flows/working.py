"""A worker in a process of its own: claims, works, reports, until it is killed.

The first one of all that is given `charge` writes the assignment into the file `held` and works on nothing any more;
once the file is called `orphaned`, another one does what it says.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shop import order

from lazyengine.flow_worker import work
from lazyengine.flows import Flows

FLOWS = Flows({"order": order})


def send(url: str, method: str, body: Any) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def hold(assignment: Any) -> None:
    try:
        with Path("held.part").open("x") as file:
            json.dump(assignment, file)
    except FileExistsError:
        return
    Path("held.part").with_suffix(".json").write_text(Path("held.part").read_text())
    Path("holder").write_text(NAME)
    time.sleep(600)


def report(assignment: Any) -> None:
    path = f"/executions/{assignment['execution_id']}/tasks/{quote(assignment['task'], safe='')}"
    send(URL + path, "PUT", work(FLOWS, assignment))
    with Path(f"{NAME}.log").open("a") as log:
        log.write(f"{assignment['task']}\n")


URL, NAME = sys.argv[1:]
while True:
    orphaned = Path("orphaned.json")
    if orphaned.exists():
        assignment = json.loads(orphaned.read_text())
        orphaned.unlink()
        report(assignment)
    claim = {"worker": NAME, "actions": ["order"], "wait_seconds": 0.2}
    for assignment in send(f"{URL}/tasks/claim", "POST", claim)["tasks"]:
        if assignment["task"] == "charge" and not assignment["reverts"]:
            hold(assignment)
        report(assignment)
