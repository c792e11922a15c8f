"""One execution whose tasks run again, and short ways to say what happens to it."""

from typing import Any

from driving import OWNER, done, failure, start, state_of, success, task_states

from lazyengine.core.state import ExecutionState
from lazyengine.engine import Engine
from lazyengine.records import Execution, Rerun, Rerunning, Task


class Run:
    """One execution, and short ways to say what happens to it."""

    def __init__(self, engine: Engine, tasks: dict[str, Any], **workflow: Any) -> None:
        self.engine, self.id = engine, start(engine, tasks, workflow=workflow).execution.id

    def fail(self, *tasks: str, **more: Any) -> "Run":
        for task in tasks:
            self.engine.complete_task(OWNER, self.id, failure(task, **more))
        return self

    def done(self, *tasks: str) -> "Run":
        done(self.engine, self.id, *tasks)
        return self

    def steer(self, state: str) -> "Run":
        self.engine.update_execution(OWNER, self.id, state=ExecutionState[state])
        return self

    def again(self, task: str, **how: Any) -> Rerunning:
        return self.engine.rerun_task(OWNER, self.id, Rerun(task, **how))

    def item(self, item: int, result: Any = None, attempt: int | None = None, task: str = "a") -> "Run":
        report = success(task, result, item=item, attempt=attempt) if result is not None else failure(task, item=item)
        self.engine.complete_task(OWNER, self.id, report)
        return self

    def task(self, name: str, item: int | None = None) -> Task:
        return self.engine.get_task(OWNER, self.id, name, item=item)

    @property
    def execution(self) -> Execution:
        return self.engine.get_execution(OWNER, self.id)

    @property
    def state(self) -> str:
        return state_of(self.engine, self.id)

    @property
    def states(self) -> dict[str, str]:
        return task_states(self.engine, self.id)
