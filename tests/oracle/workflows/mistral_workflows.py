"""Run workflows with Mistral: one job a line from stdin, one outcome a line to stdout, both JSON.

A job: ``id``, ``definition``, ``workflow``, ``input``, ``params``, ``script`` (see `run_script`).
"""

import contextlib
import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import mistral_engine
import yaml
from mistral import context
from mistral.db.sqlalchemy import sqlite_lock
from mistral.db.v2 import api as db_api
from mistral.lang import parser
from mistral.services import workbooks, workflows
from mistral.workflow import states
from mistral_lib.actions import Result
from run_script import Ordinals, Script

SECONDS = 20
QUEUE = mistral_engine.QUEUE


class TooLong(BaseException):
    """A job took more than `SECONDS`; not caught by anything of Mistral's."""


def out_of_time(*_):
    raise TooLong


def clean(started):
    parser.clear_caches()
    QUEUE.clear()
    started.clear()
    with contextlib.suppress(Exception):
        db_api.end_tx()
    context.set_ctx(mistral_engine.CONTEXT)
    with db_api.transaction():
        db_api.delete_workflow_executions()
        db_api.delete_task_executions()
        db_api.delete_action_executions()
        db_api.delete_workbooks()
        db_api.delete_workflow_definitions()
        db_api.delete_action_definitions()
    sqlite_lock.cleanup()


class Run:
    """One job."""

    def __init__(self, engine, started, job):
        self.engine, self.started, self.job = engine, started, job
        self.script, self.ordinals = Script(job.get("script", {})), Ordinals()
        self.paths = {}

    def start(self):
        for text in [self.job["definition"], *self.job.get("also", ())]:
            if "workflows" in yaml.safe_load(text):
                workbooks.create_workbook_v2(text)
            else:
                workflows.create_workflows(text)
        params = dict(self.job.get("params") or {})
        self.root = self.engine.start_workflow(self.job["workflow"], wf_input=self.job.get("input"), **params).id

    def go(self):
        """Drive the execution until it is final or nothing moves it."""
        while True:
            QUEUE.work_off()
            state = self.state()
            if states.is_completed(state):
                return
            self.name_runs()
            if step := self.script.steering():
                self.steer(step)
            elif (path := self.script.choose(self.open())) is not None:
                self.end(path)
            elif QUEUE.jump():
                continue
            elif state == "PAUSED" and self.script.may_resume():
                self.engine.resume_workflow(self.root)
            else:
                return

    def state(self):
        with db_api.transaction():
            return db_api.get_workflow_execution(self.root).state

    def steer(self, step):
        with contextlib.suppress(Exception):
            if step == "pause":
                self.engine.pause_workflow(self.root)
            elif step == "resume":
                self.engine.resume_workflow(self.root)
            else:
                self.engine.stop_workflow(self.root, "CANCELLED", "Cancelled by request")

    def name_runs(self):
        with db_api.transaction():
            for action_id in self.started:
                if action_id not in self.paths:
                    action = db_api.get_action_execution(action_id)
                    self.paths[action_id] = self.path_of(action)

    def path_of(self, run):
        task = run.task_execution
        item = (run.runtime_context or {}).get("index", 0) if task.spec.get("with-items") else None
        parent = task.workflow_execution
        above = ""
        if parent.task_execution_id:
            if parent.id not in self.paths:
                self.paths[parent.id] = self.path_of(parent)
            above = self.paths[parent.id]
        return self.ordinals.path(above, task.name, item)

    def open(self):
        """Return the runs that wait for their end, by path."""
        with db_api.transaction():
            found = {}
            for action_id in self.started:
                action = db_api.load_action_execution(action_id)
                if action and action.state == "RUNNING" and not action.accepted and self.may_end(action):
                    found[self.paths[action_id]] = action_id
        self.opened = found
        return found

    @staticmethod
    def may_end(action):
        task = action.task_execution
        return not states.is_completed(task.state) and not states.is_completed(task.workflow_execution.state)

    def end(self, path):
        state, result = self.script.outcome(path)
        ended = Result(data=result) if state == "SUCCESS" else Result(error=result)
        self.engine.on_action_complete(self.opened[path], ended)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def outcome(self):
        with db_api.transaction():
            root = db_api.get_workflow_execution(self.root)
            tasks = []
            self.collect(root, "", tasks)
            return {"state": root.state, "info": root.state_info, "output": root.output, "tasks": tasks}

    def collect(self, execution, prefix, tasks):
        for task in execution.task_executions:
            children = list(db_api.get_workflow_executions(task_execution_id=task.id))
            tasks.append(
                {
                    "name": prefix + task.name,
                    "state": task.state,
                    "info": (task.state_info or "")[:300],
                    "runs": len(task.executions),
                    "published": task.published,
                }
            )
            for child in children:
                tasks.append({"name": f"{prefix}{task.name}/", "state": child.state, "output": child.output})
                self.collect(child, f"{prefix}{task.name}/", tasks)


def run(engine, started, job):
    """Return the outcome of a job, whatever happens."""
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(job.get("seconds", SECONDS))
    run = Run(engine, started, job)
    try:
        run.start()
        run.go()
        return run.outcome()
    except TooLong:
        return {"timeout": SECONDS}
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"[:2000]}
    finally:
        signal.alarm(0)
        clean(started)


def main():
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever Mistral prints is no answer
    engine, started = mistral_engine.set_up()
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps({"id": job["id"], **run(engine, started, job)}, default=str), file=answers, flush=True)


if __name__ == "__main__":
    main()
