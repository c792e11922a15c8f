"""The engine `lazy` against TaskFlow's serial one: the same random flows come to the same end, step by step.

Atoms end in the same random order in both, so that what is under way is compared too.  Suspended on the way, the engine
goes on with what it has rebuilt from the storage.
"""

import random
import runpy
from pathlib import Path

import pytest

from tests.oracle.flows.both_engines import TaskFlowRun
from tests.oracle.flows.random_flows import RandomFlow

SEEDS = 120

pytestmark = pytest.mark.usefixtures("entry_point")


def compare(seed, raising=False, suspend_at=None):
    theirs = TaskFlowRun(*RandomFlow(seed, raising).build(), random.Random(seed), suspend_at)
    expected = theirs.run()
    ours = TaskFlowRun(*RandomFlow(seed, raising).build(), suspend_at=suspend_at, engine="lazy", follow=theirs.ended)
    assert ours.run() == expected, f"seed {seed}"
    assert ours.ended == theirs.ended


@pytest.mark.parametrize("raising", [False, True], ids=["", "deciders and controllers that raise"])
def test_in_random_orders(raising):
    for seed in range(3000, 3000 + SEEDS):
        compare(seed, raising)


def test_suspended_on_the_way():
    for seed in range(4000, 4000 + SEEDS):
        compare(seed, suspend_at=seed % 12)


def test_example(capsys):
    runpy.run_path(str(Path(__file__).parents[3] / "examples" / "taskflow_engine.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == ["fetch", "fetch is reverted", "fetch", "print page 0, page 1, page 2", "SUCCESS"]
    assert lines[5:] == ["SUSPENDED", "fetch", "fetch is reverted", "fetch", "print page 0, page 1", "SUCCESS"]
