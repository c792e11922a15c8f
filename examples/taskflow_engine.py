"""Run a TaskFlow flow with lazyengine's engine: `pip install lazyengine[taskflow]`, then `python taskflow_engine.py`.

The second task fails at first; its retry controller has it reverted and run again.  Then the engine is stopped after
the first task, and another one goes on from what TaskFlow has stored.
"""

from taskflow import engines, retry, task
from taskflow.patterns import linear_flow
from taskflow.persistence.backends import impl_memory
from taskflow.utils import persistence_utils


class Fetch(task.Task):
    default_provides = "pages"

    def execute(self, count: int) -> list[str]:
        print("fetch")
        return [f"page {number}" for number in range(count)]

    def revert(self, *args: object, **kwargs: object) -> None:
        print("fetch is reverted")


class Print(task.Task):
    fails = 1

    def execute(self, pages: list[str]) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("no paper")
        print("print", ", ".join(pages))


def make_flow() -> linear_flow.Flow:
    return linear_flow.Flow("report", retry=retry.Times(3)).add(Fetch(), Print())


def main() -> None:
    engine = engines.load(make_flow(), engine="lazy", executor="threads", max_workers=4, store={"count": 3})
    engine.run()
    print(engine.storage.get_flow_state())

    backend = impl_memory.MemoryBackend({})
    detail = persistence_utils.create_flow_detail(make_flow(), backend=backend)
    first = engines.load(make_flow(), engine="lazy", backend=backend, flow_detail=detail, store={"count": 2})
    first.atom_notifier.register("SUCCESS", lambda state, details: first.suspend())
    first.run()
    print(first.storage.get_flow_state())
    second = engines.load(make_flow(), engine="lazy", backend=backend, flow_detail=detail)
    while second.storage.get_flow_state() != "SUCCESS":
        second.run()
    print(second.storage.get_flow_state())


if __name__ == "__main__":
    main()
