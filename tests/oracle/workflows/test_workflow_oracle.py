"""Whole workflows end with ours as they end with Mistral's own engine; what differs is explained, or it fails.

``LAZYENGINE_TEST_ORACLE_SEEDS`` says how many random workflows (or, as ``100-400``, which) are run.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.workflows import mistral_own_tests, random_workflows
from tests.oracle.workflows.comparing import differences
from tests.oracle.workflows.explained import explain
from tests.oracle.workflows.mistral_process import MistralProcess
from tests.oracle.workflows.our_workflows import Service

SEEDS = os.environ.get("LAZYENGINE_TEST_ORACLE_SEEDS", "120")


def seeds() -> range:
    first, _, last = SEEDS.rpartition("-")
    return range(int(first or 0), int(last))


class Comparison:
    """Hold jobs against each other, one after the other."""

    def __init__(self, mistral: MistralProcess, service: Service) -> None:
        self.mistral, self.service = mistral, service
        self.counts: Counter[str] = Counter()
        self.unexplained: list[str] = []

    def add(self, job: dict[str, Any]) -> None:
        ours = self.service.run(job)
        theirs = {} if explain(job, {}, ours, []) == "not served" else self.mistral.run(job)
        found = ["not run with Mistral"] if not theirs else differences(theirs, ours)
        if not found:
            self.counts["equal" if "state" in ours else "refused by both"] += 1
            return
        name = explain(job, theirs, ours, found)
        self.counts[name or "UNEXPLAINED"] += 1
        if name is None:
            self.unexplained.append("\n".join((f"\n{job['id']} {job['script']}", job["definition"], *found)))

    def check(self, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            print(f"\n{self.counts.total()} workflows: " + ", ".join(f"{n} {k}" for k, n in self.counts.most_common()))
        assert not self.unexplained, "\n".join(self.unexplained)


def test_workflows_of_mistrals_own_tests(
    mistral_engine: MistralProcess, mistral_sources: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every workflow that Mistral's engine tests start, apart from those that need other actions than we have."""
    skipped: Counter[str] = Counter()
    comparison = Comparison(mistral_engine, service)
    for job in mistral_own_tests.jobs(mistral_sources, skipped):
        comparison.add(job)
    with capsys.disabled():
        print(f"\n{skipped.total()} left out: {dict(skipped)}")
    comparison.check(capsys)


def test_random_workflows(mistral_engine: MistralProcess, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every construct that ours serves, in random combinations and orders of completion."""
    features = {feature for feature in random_workflows.FEATURES if service.serves(random_workflows.sample(feature))}
    comparison = Comparison(mistral_engine, service)
    for seed in seeds():
        comparison.add(random_workflows.job(seed, features))
    with capsys.disabled():
        print(f"\nnot served: {sorted(set(random_workflows.FEATURES) - features)}")
    comparison.check(capsys)
