"""A whole worker: claim tasks, do what their action says, report how it went.  Standard library only.

    python examples/worker.py http://127.0.0.1:8989            works until it is interrupted
    python examples/worker.py http://127.0.0.1:8989 --idle 2   stops when nothing came for two seconds

Set LAZYENGINE_TOKEN where the service asks for one.
"""

import argparse
import json
import os
import socket
import time
import urllib.parse
import urllib.request
import uuid

ACTIONS = {
    "ci.build": lambda input: {"artifact": f"{input['target']}.tar.gz"},
    "ci.test": lambda input: {"passed": 120},
    "ci.scan": lambda input: {"findings": 0},
    "ci.publish": lambda input: None,
    "mail.send": lambda input: print("mail to", input["to"]),
}


def send(url, method, body):
    """Send a request and return the answer; every request here may be repeated without harm."""
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("LAZYENGINE_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=90) as response:
        return json.load(response)


def run(api, task):
    """Do one task and report it; what goes wrong inside an action is the failure of its task."""
    try:
        report = {"state": "SUCCESS", "result": ACTIONS[task["action"]](task["input"])}
    except Exception as error:
        report = {"state": "FAILURE", "failure": {"type": type(error).__name__, "message": str(error)}}
    name = urllib.parse.quote(task["task"], safe="")
    url = f"{api}/executions/{task['execution_id']}/tasks/{name}?iteration={task['iteration']}"
    answer = send(url, "PUT", report | {"attempt": task["attempt"]})
    print(f"{task['task']}: {report['state']}; the execution is {answer['execution']['state']}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("api")
    options.add_argument("--idle", type=float, default=float("inf"), help="seconds without work after which to stop")
    options = options.parse_args()
    claim = {"worker": f"{socket.gethostname()}-{os.getpid()}", "actions": list(ACTIONS), "limit": 5, "wait_seconds": 1}
    worked = time.monotonic()
    while time.monotonic() - worked < options.idle:
        for task in send(f"{options.api}/tasks/claim", "POST", claim | {"claim_key": str(uuid.uuid4())})["tasks"]:
            run(options.api, task)
            worked = time.monotonic()


if __name__ == "__main__":
    main()
