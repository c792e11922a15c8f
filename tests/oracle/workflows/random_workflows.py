"""Random valid workflows, each a job: the same seed and features always give the same ones."""

from random import Random
from typing import Any

import yaml

FEATURES: dict[str, str] = {
    "direct": "{a: {on-success: b}, b: {}}",
    "guards": "{a: {on-success: [{b: '<% true %>'}]}, b: {}}",
    "joins": "{a: {on-success: c}, b: {on-success: c}, c: {join: all}}",
    "commands": "{a: {on-success: [noop, pause, fail, succeed]}}",
    "publish": "{a: {publish: {x: '<% 1 %>'}, publish-on-error: {x: 2}}}",
    "clauses": "{a: {on-success: {publish: {branch: {x: 1}, global: {y: 2}}, next: b}}, b: {}}",
    "loops": "{a: {on-success: b}, b: {on-success: [{b: '<% false %>'}]}}",
    "items": "{a: {with-items: 'i in <% [1] %>', action: std.echo output=<% $.i %>, concurrency: 1}}",
    "retry": "{a: {retry: {count: 1, delay: 0, break-on: '<% false %>'}}}",
    "waits": "{a: {wait-before: 1, wait-after: 1}}",
    "timeout": "{a: {timeout: 4}}",
    "pause-before": "{a: {pause-before: true}}",
    "fail-on": "{a: {fail-on: '<% false %>'}}",
    "keep-result": "{a: {keep-result: false}}",
    "sub-workflows": "{a: {workflow: v x=1}}",
    "reverse": "{a: {}, b: {requires: [a]}}",
    "defaults": "{a: {}, b: {}}",
}
"""The constructs that can be used, each with tasks that show whether an engine serves it."""


def sample(feature: str) -> str:
    """Return a definition that uses a feature."""
    kind = "type: reverse, " if feature == "reverse" else ""
    defaults = "task-defaults: {on-error: b}, " if feature == "defaults" else ""
    return f"version: '2.0'\nw: {{{kind}{defaults}tasks: {FEATURES[feature]}}}\nv: {{input: [x], tasks: {{c: {{}}}}}}\n"


class Maker:
    """One definition in the making."""

    def __init__(self, seed: int, features: set[str]) -> None:
        self.random, self.features = Random(seed), features

    def has(self, feature: str, probability: float) -> bool:
        """Throw a dice in any case, so that a feature that is off does not change the rest."""
        return self.random.random() < probability and feature in self.features

    def workflow(self, names: list[str], below: str | None, reverse: bool = False) -> dict[str, Any]:
        tasks: dict[str, Any] = {name: self.task(below) for name in names}
        if reverse:
            for at, name in enumerate(names[1:], 1):
                tasks[name]["requires"] = self.random.sample(names[:at], self.random.randint(1, min(2, at)))
        else:
            self.connect(names, tasks)
        body: dict[str, Any] = {"vars": {"n": 0, "x": "vars", "d": {"k": 1}}, "tasks": tasks}
        if reverse:
            body["type"] = "reverse"
        if self.random.random() < 0.3:
            body["output"] = {"x": "<% $.x %>", "y": "<% $.get(y, 0) %>"}
        if self.random.random() < 0.2:
            body["output-on-error"] = {"why": "<% $.x %>"}
        if self.has("defaults", 0.15) and not reverse:
            body["task-defaults"] = {self.random.choice(("on-error", "on-complete")): [names[-1]]}
        return body

    # -- tasks --------------------------------------------------------------------------------------------------------

    def task(self, below: str | None) -> dict[str, Any]:
        task: dict[str, Any] = {}
        kind = self.random.random()
        if below and self.has("sub-workflows", 0.3):
            task["workflow"], task["input"] = below, {"p": self.value()}
        elif kind < 0.6:
            task["action"] = "std.async_noop"
        elif kind < 0.75:
            task["action"] = "std.noop"
        elif kind < 0.9:
            task["action"], task["input"] = "std.echo", {"output": self.value()}
        else:
            task["action"] = "std.fail"
        if self.has("items", 0.15):
            self.items(task)
        self.policies(task)
        if self.has("publish", 0.5):
            task["publish"] = self.published()
        if self.has("publish", 0.2):
            task["publish-on-error"] = self.published()
        return task

    def items(self, task: dict[str, Any]) -> None:
        size = self.random.choice((0, 1, 2, 2, 3))
        lists = [f"i in <% {list(range(size))} %>"]
        if self.random.random() < 0.3:
            lists.append("k in <% {} %>".format([f"k{at}" for at in range(size)]))
        task["with-items"] = lists
        if self.random.random() < 0.4:
            task["concurrency"] = self.random.choice((1, 2))
        if "output" in task.get("input", {}):
            task["input"]["output"] = "<% $.i %>"

    def policies(self, task: dict[str, Any]) -> None:
        if self.has("retry", 0.15):
            task["retry"] = {"count": self.random.randint(1, 2), "delay": self.random.choice((0, 1))}
            extra = self.random.choice((None, None, "break-on", "continue-on"))
            if extra:
                task["retry"][extra] = self.random.choice(("<% true %>", "<% false %>", "<% $.x = vars %>"))
        if self.has("waits", 0.1):
            task[self.random.choice(("wait-before", "wait-after"))] = self.random.choice((0, 1))
        if self.has("timeout", 0.08):
            task["timeout"] = 4
        if self.has("pause-before", 0.05):
            task["pause-before"] = self.random.choice((True, False, "<% $.x = vars %>"))
        if self.has("fail-on", 0.1):
            task["fail-on"] = self.random.choice(("<% true %>", "<% false %>", "<% task().result = null %>"))
        if self.has("keep-result", 0.08):
            task["keep-result"] = False

    def value(self) -> Any:
        # fmt: off
        return self.random.choice((
            1, "text", "<% $.x %>", "<% $.n %>", "<% env().e %>", "<% $.d %>", "<% $.d.k + 1 %>", "{{ _.x }}", None,
            "<% $.get(y, none) %>", "a <% $.x %> b", [1, "<% $.n %>"],
        ))
        # fmt: on

    def published(self) -> dict[str, Any]:
        names = self.random.sample(("x", "y", "d", "r"), self.random.randint(1, 2))
        values: dict[str, Any] = {"d": {self.random.choice("klm"): self.value()}, "r": "<% task().result %>"}
        if self.random.random() < 0.03:
            return {"y": "<% $.missing %>"}
        return {name: values.get(name, self.value()) for name in names}

    def shared(self) -> dict[str, Any]:
        """No dictionaries: Mistral loses what is merged into one that its context has already."""
        if self.random.random() < 0.03:
            return {"y": "<% $.missing %>"}
        return {self.random.choice("xyg"): self.random.choice((1, "text", "<% $.n %>", "<% env().e %>"))}

    # -- links --------------------------------------------------------------------------------------------------------

    def connect(self, names: list[str], tasks: dict[str, Any]) -> None:
        inbound = dict.fromkeys(names, 0)
        for at, name in enumerate(names):
            later = names[at + 1 :]
            for clause in ("on-success", "on-error", "on-complete"):
                chance = {"on-success": 0.7, "on-error": 0.4, "on-complete": 0.25}[clause]
                if self.random.random() > chance:
                    continue
                chosen = self.random.sample(later, min(len(later), self.random.choice((1, 1, 2))))
                links: list[Any] = [self.guarded(one) for one in chosen]
                if self.has("commands", 0.2):
                    links.insert(self.random.randint(0, len(links)), self.command())
                if links:
                    for one in chosen:
                        inbound[one] += 1
                    self.put(tasks[name], clause, links)
            if at and self.has("loops", 0.12):
                self.loop(tasks[name], self.random.choice(names[1 : at + 1]))
        kinds = ("all", "one", 1, 2) if self.random.random() < 0.2 else ("all",)
        for name, count in inbound.items():
            if count > 1 and self.has("joins", 0.75):
                tasks[name]["join"] = self.random.choice(kinds)

    def guarded(self, name: str) -> Any:
        if self.has("guards", 0.3):
            return {
                name: self.random.choice(("<% true %>", "<% false %>", "<% $.x = vars %>", "<% $.get(y) = null %>"))
            }
        return name

    def command(self) -> Any:
        command = self.random.choice(("noop", "noop", "pause", "fail", "succeed", "fail(msg='it ends')"))
        return self.guarded(command) if "(" not in command else command

    def put(self, task: dict[str, Any], clause: str, links: list[Any]) -> None:
        if self.has("clauses", 0.2):
            scopes = self.random.sample(("branch", "global"), self.random.randint(1, 2))
            publish = {scope: self.published() if scope == "branch" else self.shared() for scope in scopes}
            task[clause] = {"publish": publish, "next": links}
        else:
            task[clause] = links[0] if len(links) == 1 and isinstance(links[0], str) else links

    def loop(self, task: dict[str, Any], back: str) -> None:
        clause = task.setdefault("on-success", [])
        if isinstance(clause, list):
            clause.append({back: "<% $.n < 2 %>"})
            task.setdefault("publish", {})["n"] = "<% $.n + 1 %>"


def job(seed: int, features: set[str]) -> dict[str, Any]:
    """Return the job of a seed."""
    maker = Maker(seed, features)
    random = maker.random
    names = [f"t{at}" for at in range(random.randint(2, 7))]
    document: dict[str, Any] = {"version": "2.0"}
    reverse = maker.has("reverse", 0.15)
    document["w"] = maker.workflow(names, "v", reverse)
    document["v"] = maker.workflow(["s0", "s1", "s2"][: random.randint(1, 3)], "u")
    document["u"] = maker.workflow(["r0"], None)
    for below in ("v", "u"):
        document[below]["input"] = [{"p": None}]
    if "sub-workflows" not in features:
        document = {"version": "2.0", "w": document["w"]}
    steer = []
    if random.random() < 0.2:
        steer = [[random.randint(0, 2), "pause"], [random.randint(2, 4), "resume"]]
    elif random.random() < 0.08:
        steer = [[random.randint(0, 3), "cancel"]]
    script = {"seed": seed, "success": random.choice((1.0, 0.8, 0.6)), "steer": steer}
    if "timeout" in features and random.random() < 0.2:
        script["never"] = [name for name in names if "timeout" in document["w"]["tasks"][name]]
    params: dict[str, Any] = {"env": {"e": "from env"}} | ({"task_name": names[-1]} if reverse else {})
    text = yaml.safe_dump(document, sort_keys=False, width=110)
    return {"id": f"seed {seed}", "definition": text, "workflow": "w", "input": {}, "params": params, "script": script}
