"""Random nested flows: a seed is a flow, what its tasks and controllers do, and what its deciders say."""

import random
from collections import Counter
from typing import Any
from zlib import crc32

from taskflow import retry, task
from taskflow.flow import Flow
from taskflow.patterns import graph_flow, linear_flow, unordered_flow

PATTERNS = (linear_flow.Flow, unordered_flow.Flow, graph_flow.Flow)
DEPTHS = ("ALL", "FLOW", "NEIGHBORS", "ATOM")
FAILS = ((), (), (), (), (1,), (1,), (1, 2), tuple(range(1, 99)))


class Broken(Exception):
    """What a script says goes wrong."""


class Calls:
    """How often each atom was executed and reverted."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()
        self.reverted: Counter[str] = Counter()

    def execute(self, atom: Any) -> str:
        self.executed[atom.name] += 1
        if self.executed[atom.name] in atom.fails:
            raise Broken(atom.name)
        return f"{atom.name}-{self.executed[atom.name]}"

    def revert(self, atom: Any) -> None:
        self.reverted[atom.name] += 1
        if self.reverted[atom.name] in atom.revert_fails:
            raise Broken(atom.name)


class Scripted(task.Task):
    def __init__(self, name: str, calls: Calls, fails: tuple[int, ...], revert_fails: tuple[int, ...]) -> None:
        super().__init__(name)
        self.calls, self.fails, self.revert_fails = calls, fails, revert_fails

    def execute(self) -> str:
        return self.calls.execute(self)

    def revert(self, *args: Any, **kwargs: Any) -> None:
        self.calls.revert(self)


def counting(base: type[retry.Retry]) -> type[retry.Retry]:
    """Let a retry controller count its calls and fail as its script says."""

    class Counting(base):  # type: ignore[valid-type, misc]
        calls: Calls
        fails: tuple[int, ...] = ()
        revert_fails: tuple[int, ...] = ()

        def execute(self, history: retry.History, *args: Any, **kwargs: Any) -> Any:
            self.calls.execute(self)
            return super().execute(history=history)

        def revert(self, history: retry.History, *args: Any, **kwargs: Any) -> None:
            self.calls.revert(self)

    return Counting


class Answers(retry.Retry):
    """Says what its script says, by the number of attempts so far, and at last REVERT."""

    def __init__(self, name: str, answers: list[str]) -> None:
        super().__init__(name)
        self.answers = answers

    def execute(self, history: retry.History, *args: Any, **kwargs: Any) -> int:
        return len(history)

    def on_failure(self, history: retry.History, *args: Any, **kwargs: Any) -> str:
        answer = self.answers[len(history) - 1] if len(history) <= len(self.answers) else retry.REVERT
        if answer == "raise":
            raise Broken(self.name)
        return answer


class RandomFlow:
    """The flow of a seed; each build has atoms of its own, which count in `calls`.

    :param raising: whether deciders and controllers may raise when they are asked
    :param failing: whether controllers may fail as they are executed
    """

    def __init__(self, seed: int, raising: bool = False, failing: bool = True) -> None:
        self.seed, self.raising, self.failing = seed, raising, failing

    def build(self) -> tuple[Flow, Calls]:
        self.random = random.Random(self.seed)
        self.names: Counter[str] = Counter()
        self.calls = Calls()
        self.breaks = self.random.random() < 0.15
        self.doubts = self.random.choice((0.0, 0.5, 0.8))
        return self.flow(self.random.randint(1, 3)), self.calls

    def name(self, kind: str) -> str:
        self.names[kind] += 1
        return f"{kind}{self.names[kind]}"

    def flow(self, levels: int) -> Flow:
        pattern = self.random.choice(PATTERNS)
        flow = pattern(self.name("f"), self.controller() if self.random.random() < 0.5 else None)
        children = [self.child(levels) for _ in range(self.random.randint(0 if levels < 2 else 1, 5 - levels))]
        flow.add(*children)
        if pattern is graph_flow.Flow:
            for later in range(len(children)):
                for earlier in range(later):
                    if self.random.random() < 0.4:
                        self.link(flow, children[earlier], children[later])
        return flow

    def child(self, levels: int) -> Flow | task.Task:
        if levels > 1 and self.random.random() < 0.5:
            return self.flow(levels - 1)
        return Scripted(self.name("t"), self.calls, self.random.choice(FAILS), self.revert_fails())

    def revert_fails(self) -> tuple[int, ...]:
        return (self.random.randint(1, 2),) if self.breaks and self.random.random() < 0.3 else ()

    def link(self, flow: graph_flow.Flow, source: Any, target: Any) -> None:
        if self.random.random() < self.doubts:
            flow.link(source, target, decider=self.decider(), decider_depth=self.random.choice(DEPTHS))
        else:
            flow.link(source, target)

    def decider(self) -> Any:
        salt, raises = self.random.random(), self.raising and self.random.random() < 0.1

        def decide(history: dict[str, Any]) -> bool:
            if raises:
                raise Broken("decider")
            return crc32(repr((salt, sorted(history.items()))).encode()) % 100 < 60

        return decide

    def controller(self) -> retry.Retry:
        name, number = self.name("r"), self.random.randint(1, 3)
        answers = [*retry.Decision] + (["raise"] if self.raising else [])
        made = self.random.choice(
            (
                lambda: counting(retry.Times)(number, name=name, revert_all=self.random.random() < 0.3),
                lambda: counting(retry.ForEach)([*range(number)], name=name, revert_all=self.random.random() < 0.3),
                lambda: counting(retry.AlwaysRevert)(name=name),
                lambda: counting(retry.AlwaysRevertAll)(name=name),
                lambda: counting(Answers)(name, self.random.choices(answers, k=number)),
            )
        )()
        made.calls = self.calls
        made.fails = self.random.choice(FAILS[:6]) if self.failing and self.random.random() < 0.2 else ()
        made.revert_fails = self.revert_fails()
        return made
