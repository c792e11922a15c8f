"""Flows over the API against TaskFlow's serial engine: the same random flows come to the same end, step by step.

What is not compared: TaskFlow asks at once, so a decider that raises keeps what stands behind it in the same round from
beginning; here that is under way by the time of the answer.

Every atom, every decider and every controller is worked on through the API, as all controllers of these flows are
derived from TaskFlow's.
"""

import random
from collections import Counter

import pytest
from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.compilers.flow import compile_flow
from lazyengine.engine import Engine
from lazyengine.flows import Flows
from tests.oracle.flows.both_engines import TaskFlowRun
from tests.oracle.flows.over_rest import RestRun, as_shown
from tests.oracle.flows.random_flows import RandomFlow

SEEDS = 120

pytestmark = pytest.mark.backends("sqlite")


@pytest.fixture
def run(database, settings):
    """Make a run of a flow, in a service that makes the flow anew."""

    def make(seed: int, raising: bool) -> RestRun:
        flows = Flows({"flow": lambda: RandomFlow(seed, raising).build()[0]}, hands_out=True)
        app = TestApp(make_app(Engine(database, settings, flows=flows), settings))

        def send(method: str, path: str, body: object) -> object:
            return app.get(path).json if method == "GET" else getattr(app, f"{method.lower()}_json")(path, body).json

        return RestRun(send, "flow", *RandomFlow(seed, raising).build()).start()

    return make


def with_deciders(seed: int, raising: bool) -> bool:
    return bool(compile_flow(RandomFlow(seed, raising).build()[0]).questions)


def compare(run, seeds, raising=False) -> Counter[str]:
    """Run flows in both engines; return what they came to, and how often what was asked."""
    found: Counter[str] = Counter()
    for seed in seeds:
        theirs = TaskFlowRun(*RandomFlow(seed, raising).build(), random.Random(seed))
        expected = theirs.run()
        ours = run(seed, raising)
        ending = ours.follow(theirs.ended)
        if ours.began_with_a_question:
            found["began with a question"] += 1
            assert ending.state == expected.state == "FAILURE", f"seed {seed}"
        else:
            assert ending == as_shown(expected), f"seed {seed}"
        found[expected.state] += 1
        found.update(ours.questions)
    return found


def test_in_random_orders(run):
    found = compare(run, range(5000, 5000 + SEEDS))
    assert found["SUCCESS"] > SEEDS / 5
    assert found["REVERTED"] > SEEDS / 5
    assert found["FAILURE"] > 2
    assert found["on_failure"] > SEEDS / 2


@pytest.mark.parametrize("raising", [False, True], ids=["", "deciders and controllers that raise"])
def test_flows_with_deciders(run, raising):
    seeds = [seed for seed in range(6000, 6800) if with_deciders(seed, raising)]
    found = compare(run, seeds, raising)
    assert found["decide"] > 30
    assert found["began with a question"] < len(seeds) / 10
