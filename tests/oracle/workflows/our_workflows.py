"""Run the same jobs with ours, over HTTP: the real application on a database of its own and a clock that jumps.

``LAZYENGINE_TEST_ORACLE_URL`` names a running service to ask instead; delays are not waited for there.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.db.database import Database
from lazyengine.db.tables import metadata
from lazyengine.engine import Engine
from lazyengine.settings import Settings
from tests.oracle.workflows.run_script import Ordinals, Script

FINAL = {"SUCCESS", "FAILURE", "CANCELLED"}
STEERING = {"pause": "SUSPENDED", "resume": "RUNNING", "cancel": "CANCELLED"}
DELAYS = (1, 2, 5, 10, 30, 100, 1_000, 10_000)
"""Seconds by which the clock jumps, one after the other, until something moves."""


class Service:
    """The application that is asked."""

    def __init__(self, directory: Path) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        settings = Settings(database_url=f"sqlite:///{directory / 'oracle.db'}", expression_timeout_seconds=10.0)
        self.database = Database(settings)
        self.database.upgrade()
        self.engine = Engine(self.database, settings, lambda: self.now)
        self.app = TestApp(os.environ.get("LAZYENGINE_TEST_ORACLE_URL") or make_app(self.engine, settings))

    def clean(self) -> None:
        with self.database.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())

    def close(self) -> None:
        self.engine.evaluator.close()
        self.database.dispose()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        if method == "GET":
            return self.app.get(path, expect_errors=True)
        return getattr(self.app, f"{method.lower()}_json")(path, body, expect_errors=True)

    def serves(self, definition: str) -> bool:
        return bool(self.ask("POST", "/workflows/validate", {"definition": definition}).json["valid"])

    def let_time_pass(self) -> bool:
        """Jump to the next thing that is due; return whether anything was."""
        for seconds in DELAYS:
            self.now += timedelta(seconds=seconds)
            if self.engine.fire_due():
                return True
        return False

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the outcome of a job."""
        try:
            return OurRun(self, job).outcome()
        finally:
            self.clean()


class OurRun:
    """One job."""

    def __init__(self, service: Service, job: dict[str, Any]) -> None:
        self.service, self.job = service, job
        self.script, self.ordinals = Script(job.get("script", {})), Ordinals()
        self.open: dict[str, dict[str, Any]] = {}
        self.paths: dict[str, str] = {}
        self.targets = ["default", *dict.fromkeys(re.findall(r"target: *([\w-]+)", job["definition"]))]

    def outcome(self) -> dict[str, Any]:
        params = {"default_action": "std.noop", **(self.job.get("params") or {})}
        body = {"workflow": self.job["workflow"], "params": params, "input": self.job.get("input") or {}}
        texts = [self.job["definition"], *self.job.get("also", ())]
        answers = [self.service.ask("POST", "/workflows", {"definition": text}) for text in texts[1:] and texts]
        if not answers:
            body["definition"] = texts[0]
        refused = [answer for answer in answers if answer.status_int != 201]
        answer = refused[0] if refused else self.service.ask("POST", "/executions", body)
        if answer.status_int != 201:
            faults = answer.json.get("errors") or [{}]
            return {"refused": f"{answer.json['code']}: " + "; ".join(fault.get("detail", "") for fault in faults)}
        self.root = answer.json["id"]
        self.paths[self.root] = ""
        self.go()
        return self.result()

    def state(self, execution_id: str) -> Any:
        return self.service.ask("GET", f"/executions/{execution_id}").json

    def go(self) -> None:
        while (state := self.state(self.root)["state"]) not in FINAL:
            self.claim()
            if step := self.script.steering():
                self.steer(STEERING[step])
            elif (path := self.script.choose(self.open)) is not None:
                self.end(path)
            elif self.service.let_time_pass():
                continue
            elif state == "SUSPENDED" and self.script.may_resume():
                self.steer("RUNNING")
            else:
                return

    def steer(self, state: str) -> None:
        self.service.ask("PUT", f"/executions/{self.root}", {"state": state})

    def claim(self) -> None:
        body = {"worker": "oracle", "targets": self.targets, "limit": 1000, "lease_seconds": 86_400}
        for run in self.service.ask("POST", "/tasks/claim", body).json["tasks"]:
            above = self.path_of(run["execution_id"])
            self.open[self.ordinals.path(above, run["task"], run["item"])] = run

    def path_of(self, execution_id: str) -> str:
        if execution_id not in self.paths:
            parent = self.state(execution_id)["parent"]
            above = self.path_of(parent["execution_id"])
            self.paths[execution_id] = self.ordinals.path(above, parent["task"], parent.get("item"))
        return self.paths[execution_id]

    def end(self, path: str) -> None:
        run = self.open.pop(path)
        state, result = self.script.outcome(path)
        body: dict[str, Any] = {"state": state, "result": result, "attempt": run["attempt"]}
        if state == "FAILURE":
            body["failure"] = {"type": "script", "message": str(result)}
        query = f"?iteration={run['iteration']}" + ("" if run["item"] is None else f"&item={run['item']}")
        self.service.ask("PUT", f"/executions/{run['execution_id']}/tasks/{run['task']}{query}", body)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        root = self.state(self.root)
        tasks: list[dict[str, Any]] = []
        self.collect(self.root, "", tasks)
        return {"state": root["state"], "info": root["state_info"], "output": root["output"], "tasks": tasks}

    def collect(self, execution_id: str, prefix: str, tasks: list[dict[str, Any]]) -> None:
        path = f"/executions/{execution_id}/tasks"
        for task in self.service.ask("GET", f"{path}?limit=1000").json["tasks"]:
            run = self.service.ask("GET", f"{path}/{task['name']}?iteration={task['iteration']}").json
            runs = run["attempt"] if run["items"] is None else run["items"]["total"] * run["attempt"]
            tasks.append(
                {
                    "name": prefix + run["name"],
                    "state": run["state"],
                    "info": run["state_info"] or "",
                    "runs": runs,
                    "published": run["published"],
                }
            )
        for child in self.service.ask("GET", "/executions?limit=1000&fields=output").json["executions"]:
            if child["parent"] and child["parent"]["execution_id"] == execution_id:
                name = f"{prefix}{child['parent']['task']}/"
                tasks.append({"name": name, "state": child["state"], "output": child["output"]})
                self.collect(child["id"], name, tasks)
