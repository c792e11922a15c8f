"""Evaluate expressions with Mistral itself; run by the Python of an environment that has it.

Reads a JSON list of [value, view] from standard input and writes a JSON list of {"value": …} or {"error": …}; an
error too where Mistral refuses a definition for the value. What its functions would read from its database comes from
the view.
"""

import json
import operator
import signal
import sys
from types import SimpleNamespace
from unittest import mock

from mistral.db.v2 import api as db_api  # isort: skip - as in its server: the expressions only find their filters then
from mistral import expressions, utils
from mistral.expressions import std_functions
from mistral.lang.base import BaseSpec
from mistral.workflow.data_flow import ContextView

SECONDS = 5
PARTS = ("id", "name", "spec", "input", "params", "root_execution_id", "created_at", "updated_at")


class Moment(str):
    """A time that is written as it was given."""

    def isoformat(self, _separator):
        return str(self)


class Row(dict):
    """A row whose columns are attributes, too."""

    __getattr__ = dict.__getitem__


class Database:
    """The functions of Mistral's database that its expressions call, over one view."""

    def __init__(self, view):
        self.view = view
        current = view.get("task")
        self.tasks = [*view.get("task_list", []), *view.get("tasks", {}).values(), *([current] if current else [])]

    def execution(self, _id):
        facts = {name: self.view["execution"].get(name) for name in PARTS}
        facts |= {name: Moment(facts[name]) for name in ("created_at", "updated_at")}
        return SimpleNamespace(**facts, context=self.view.get("globals", {}))

    def task(self, id):
        return next(Row(task) for task in self.tasks if task["id"] == id)

    def task_executions(self, name=..., **wanted):
        if name is not ...:
            return [Row(task) for task in self.view.get("tasks", {}).values() if task["name"] == name]
        listed = self.view.get("task_list", [])
        return [Row(each) for each in listed if all(each[key] == wanted[key] for key in wanted)]

    def executions(self, **wanted):
        return [
            Row(each)
            for each in self.view.get("executions", [])
            if all(_fits(each.get(key), value) for key, value in wanted.items())
        ]


def _fits(have, wanted):
    if not isinstance(wanted, dict):
        return have == wanted
    compare = {"eq": operator.eq, "gte": operator.ge, "lt": operator.lt}
    return all(compare[name](have, value) for name, value in wanted.items())


def context_of(view):
    task, execution = view.get("task"), {"__execution": {"id": view["execution"]["id"]}}
    own = [{"__task_execution": {"id": task["id"], "name": task["name"]}}] if task else []
    return ContextView(*own, view.get("variables", {}), {"__env": view.get("env", {})}, execution)


def outcome_of(value, view):
    database = Database(view)
    fakes = {
        "get_workflow_execution": database.execution,
        "get_task_execution": database.task,
        "get_task_executions": database.task_executions,
        "get_workflow_executions": database.executions,
    }
    with mock.patch.multiple(db_api, **fakes), mock.patch.object(std_functions, "_convert_to_user_model", dict):
        signal.alarm(SECONDS)
        try:
            BaseSpec.validate_expr(None, value)
            result = expressions.evaluate_recursively(value, context_of(view))
            return {"value": json.loads(utils.to_json_str({"of": result}))["of"]}
        except BaseException as error:
            return {"error": f"{type(error).__name__}: {error}"[:300]}
        finally:
            signal.alarm(0)


def on_alarm(*_):
    raise TimeoutError


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, on_alarm)
    sys.set_int_max_str_digits(0)
    outcomes = [outcome_of(value, view) for value, view in json.load(sys.stdin)]
    print("\n" + json.dumps(outcomes))
