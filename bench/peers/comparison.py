"""What the programs have in common: options, rounds in turns, lazyengine beside the peer, the JSON document.

    {"name": "dbos", "versions": {"dbos": "3.4.0", …}, "rows": [
        {"case": "DBOS, chains 20x100", "unit": "steps/s", "runs": […], "median": 400},
        {"case": "lazyengine over HTTP, chains 20x100", "unit": "steps/s", "runs": […], "median": 800,
         "ratios": {"DBOS": 2}}]}

A row may have a "note"; a ratio is the median of those of the rounds.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import Any

from bench.harness import rounded, tidy_up_when_interrupted

ROUNDS = 5


@dataclass(frozen=True)
class Run:
    """What one run came to.

    :param done: tasks, or steps, that ended within `seconds`
    :param of: how many there were; fewer done is a run that did not finish
    """

    done: int
    of: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.done / self.seconds

    def __str__(self) -> str:
        return f"{self.rate:.1f}" if self.done == self.of else f"{self.rate:.1f} ({self.done} of {self.of})"


class Ours:
    """lazyengine, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **wish: Any) -> Any:
        """Ask for one thing and return the answer.

        :raises RuntimeError: the process has ended; what it said is on stderr
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(wish), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"lazyengine could not do {wish}")
        return json.loads(answer)

    def database(self, kind: str) -> str:
        """Return the URL of a new database, `postgresql://…` or `mysql://…`, which is dropped in the end."""
        return str(self.ask(what="database", kind=kind))

    def runs(self, door: str, case: str, **more: Any) -> Callable[[], Run]:
        """Return what runs a case through one door of lazyengine."""
        return lambda: Run(**self.ask(what="run", door=door, case=case, **more))


class Comparison:
    """One program's measurements.

    :param name: of the peer
    :param distributions: whose versions are told
    :param bound_seconds: of a run that is cut off; there is an option for it
    """

    def __init__(
        self, name: str, description: str | None, distributions: tuple[str, ...], bound_seconds: float | None = None
    ) -> None:
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--ours", required=True, metavar="PYTHON", help="of the environment of lazyengine")
        parser.add_argument("--quick", action="store_true", help="one round, and less patience with who is slow")
        parser.add_argument("--rounds", type=int, help=f"of each case (default: {ROUNDS}, quick: 1)")
        parser.add_argument("--case", action="append", help="only this case; repeatable")
        for server, url in (
            ("redis", "redis://127.0.0.1:6379/0"),
            ("amqp", "rabbit://guest:guest@127.0.0.1:5672/"),
        ):
            parser.add_argument(f"--{server}", default=url, metavar="URL", help=f"a server (default: {url})")
        if bound_seconds is not None:
            text = f"after which a run of {name} is cut off (default: {bound_seconds:g})"
            parser.add_argument("--seconds", type=float, default=bound_seconds, help=text)
        self.options = parser.parse_args()
        tidy_up_when_interrupted()
        self.name = name
        self._rounds: int = self.options.rounds or (1 if self.options.quick else ROUNDS)
        self._versions = {"python": platform.python_version()} | {one: version(one) for one in distributions}
        self._rows: list[dict[str, Any]] = []

    @contextmanager
    def ours(self) -> Iterator[Ours]:
        """Start lazyengine; in the end stop it, and print the document with the cases that were done."""
        command = [self.options.ours, "-m", "bench.peers.ours"]
        pipe = subprocess.PIPE
        # In a session of its own it outlives Ctrl-C, so that its databases last until the peer has ended.
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
            ours = Ours(process)
            self._versions["lazyengine"] = ours.ask(what="version")
            try:
                yield ours
            finally:
                print(json.dumps({"name": self.name.lower(), "versions": self._versions, "rows": self._rows}))

    def measure(self, case: str, unit: str, peer: Callable[[], Run], ours: dict[str, Callable[[], Run]]) -> None:
        """Let the peer and us run a case in turns.

        :param ours: by the way in which lazyengine runs it
        """
        if case not in (self.options.case or [case]):
            return
        who = {self.name: peer} | {f"lazyengine {way}": run for way, run in ours.items()}
        runs: dict[str, list[Run]] = {name: [] for name in who}
        for number in range(1, self._rounds + 1):
            for name, run in who.items():
                runs[name].append(run())
                print(f"{number}/{self._rounds}  {name}, {case}: {runs[name][-1]} {unit}", file=sys.stderr, flush=True)
        for name, made in runs.items():
            rates = [rounded(run.rate) for run in made]
            row = {"case": f"{name}, {case}", "unit": unit, "runs": rates, "median": rounded(median(rates))}
            if name != self.name and all(run.done for run in runs[self.name]):
                ratios = [one.rate / other.rate for one, other in zip(made, runs[self.name], strict=True)]
                row["ratios"] = {self.name: rounded(median(ratios))}
            if any(run.done < run.of for run in made):
                row["note"] = (
                    f"did not finish: {', '.join(f'{one.done} of {one.of} in {one.seconds:.0f} s' for one in made)}"
                )
            self._rows.append(row)

    def cannot_run(self, reason: str) -> None:
        """Say why a peer is not measured."""
        self._rows.append(
            {"case": self.name, "unit": "", "runs": [], "median": None, "note": f"cannot be run: {reason}"}
        )
