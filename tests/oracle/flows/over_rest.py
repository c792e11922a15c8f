"""A flow over the API: assignments are worked on as a worker does, in an order that somebody else gives."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from taskflow.flow import Flow

from lazyengine.flow_worker import work
from lazyengine.flows import Flows
from tests.oracle.flows.both_engines import Ending
from tests.oracle.flows.random_flows import Calls

Send = Callable[..., Any]
"""(method, path, body) -> the body of the answer."""


class RestRun:
    """
    :param send: how a request is sent
    :param flow: what the worker knows as flow `name`
    :ivar questions: how often each was asked
    :ivar began_with_a_question: atoms that were under way when one that was asked raised, and that TaskFlow, which asks
        at once, did not begin any more
    """

    def __init__(self, send: Send, name: str, flow: Flow, calls: Calls) -> None:
        self.send, self.name, self.calls = send, name, calls
        self.flows = Flows({name: lambda: flow})
        self.atoms = self.flows.compiled(name).atoms
        self.offers: dict[str, Any] = {}
        self.questions = {"decide": 0, "on_failure": 0}
        self.has_raised = False
        self.began_with_a_question: list[str] = []

    def start(self, **given: Any) -> "RestRun":
        started = self.send("POST", "/executions", {"workflow": self.name, "input": given})
        self.id = started["id"]
        self.take(started["scheduled"])
        return self

    def take(self, scheduled: list[Any]) -> None:
        """Keep what was handed out, and answer questions at once, as TaskFlow does."""
        questions = [one for one in scheduled if one["asks"]]
        self.offers |= {one["task"]: one for one in scheduled if not one["asks"]}
        for question in questions:
            self.questions[question["asks"]] += 1
            self.do(question)

    def do(self, assignment: Any) -> None:
        path = f"/executions/{self.id}/tasks/{quote(assignment['task'], safe='')}"
        report = work(self.flows, assignment)
        self.has_raised |= bool(assignment["asks"]) and report["state"] == "FAILURE"
        self.take(self.send("PUT", path, report)["scheduled"])

    def follow(self, ended: list[str | None]) -> Ending:
        """Let what is under way end in a given order."""
        for name in ended:
            assert name in self.offers, f"{name} ends in TaskFlow; here these are under way: {sorted(self.offers)}"
            self.do(self.offers.pop(name))
        if self.has_raised:
            self.began_with_a_question = sorted(self.offers)
            while self.offers:
                self.do(self.offers.pop(min(self.offers)))
        assert not self.offers, f"still under way: {sorted(self.offers)}"
        return self.ending()

    def ending(self) -> Ending:
        """Results of controllers are left out of it: the API shows the last one."""
        atoms, results = {}, {}
        for atom in self.atoms.values():
            task = self.send("GET", f"/executions/{self.id}/tasks/{quote(atom.name, safe='')}", None)
            atoms[atom.name] = (task["state"], self.calls.executed[atom.name], self.calls.reverted[atom.name])
            if task["state"] == "SUCCESS":
                results[atom.name] = task["result"]
        return Ending(self.send("GET", f"/executions/{self.id}", None)["state"], atoms, results)


def as_shown(ending: Ending) -> Ending:
    """Return what the API shows of an ending of TaskFlow: of a controller the result of its last attempt."""
    results = {
        name: result[-1][0] if isinstance(result, list) and result and isinstance(result[0], tuple) else result
        for name, result in ending.results.items()
    }
    return Ending(ending.state, ending.atoms, results)
