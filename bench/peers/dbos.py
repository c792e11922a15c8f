# /// script
# dependencies = ["dbos==3.4.0"]
# ///
"""DBOS on PostgreSQL: workflows of 100 steps that do nothing, one and 20 at once, against lazyengine on PostgreSQL."""

import time
from functools import partial

from dbos import DBOS

from bench.peers.comparison import Comparison, Run

LENGTH = 100


@DBOS.step()
def link(x: int) -> int:
    return x + 1


@DBOS.workflow()
def chain(length: int) -> int:
    x = 0
    for _ in range(length):
        x = link(x)
    return x


def chains(executions: int) -> Run:
    """Run workflows at once, in threads of this process, and wait for all of them."""
    began = time.perf_counter()
    handles = [DBOS.start_workflow(chain, LENGTH) for _ in range(executions)]
    assert [handle.get_result() for handle in handles] == [LENGTH] * executions
    return Run(executions * LENGTH, executions * LENGTH, time.perf_counter() - began)


def main() -> None:
    comparison = Comparison("DBOS", __doc__, ("dbos", "SQLAlchemy", "psycopg"))
    with comparison.ours() as ours:
        url = ours.database("postgresql")
        DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
        DBOS.launch()
        try:
            for executions in (1, 20):
                case = f"chains {executions}x100"
                ways = {"over HTTP": ours.runs("http", case), "in process": ours.runs("engine", case)}
                comparison.measure(case, "steps/s", partial(chains, executions), ways)
        finally:
            DBOS.destroy()


if __name__ == "__main__":
    main()
