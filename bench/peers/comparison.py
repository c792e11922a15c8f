"""What the programs about the peers share: options, rounds that take turns, the JSON document.

A program runs in the environment of its peer; `Ours` is a process in the environment of lazyengine (`ours.py`), which
is asked for one run at a time, so both are measured in turns on the same machine and the same servers.
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
from pathlib import Path
from statistics import median
from typing import Any

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
    """

    def __init__(self, name: str, description: str, distributions: tuple[str, ...]) -> None:
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--ours", required=True, metavar="PYTHON", help="of the environment of lazyengine")
        parser.add_argument("--quick", action="store_true", help="one round, and less patience with who is slow")
        parser.add_argument("--rounds", type=int, help=f"of each case (default: {ROUNDS}, quick: 1)")
        parser.add_argument("--case", action="append", help="only this case; repeatable")
        for server, url in (
            ("postgresql", "postgresql+psycopg://postgres@127.0.0.1/postgres"),
            ("mysql", "mysql+pymysql://root@127.0.0.1"),
            ("redis", "redis://127.0.0.1:6379/0"),
            ("amqp", "rabbit://guest:guest@127.0.0.1:5672/"),
        ):
            parser.add_argument(f"--{server}", default=url, metavar="URL", help=f"a server (default: {url})")
        self.options = parser.parse_args()
        self.name = name
        self._rounds: int = self.options.rounds or (1 if self.options.quick else ROUNDS)
        self._versions = {"python": platform.python_version()} | {one: version(one) for one in distributions}
        self._rows: list[dict[str, Any]] = []

    @contextmanager
    def ours(self) -> Iterator[Ours]:
        """Start lazyengine; end it, and drop its databases, in the end."""
        command = [self.options.ours, Path(__file__).with_name("ours.py")]
        servers = ["--postgresql", self.options.postgresql, "--mysql", self.options.mysql]
        pipe = subprocess.PIPE
        with subprocess.Popen([*command, *servers], stdin=pipe, stdout=pipe, text=True) as process:
            ours = Ours(process)
            self._versions["lazyengine"] = ours.ask(what="version")
            yield ours

    def measure(self, case: str, unit: str, peer: Callable[[], Run], ours: dict[str, Callable[[], Run]]) -> None:
        """Let the peer and us run a case in turns.

        :param ours: by the way in which lazyengine runs it
        """
        if case not in (self.options.case or [case]):
            return
        who = {self.name: peer} | {f"lazyengine, {way}": run for way, run in ours.items()}
        runs: dict[str, list[Run]] = {name: [] for name in who}
        for number in range(self._rounds):
            for name, run in who.items():
                runs[name].append(run())
                done = runs[name][-1]
                short = "" if done.done == done.of else f", {done.done} of {done.of}"
                rate = done.done / done.seconds
                print(f"{case}, round {number + 1}: {name}: {rate:.1f} {unit}{short}", file=sys.stderr, flush=True)
        rates = {name: [round(run.done / run.seconds, 2) for run in made] for name, made in runs.items()}
        theirs = median(rates[self.name])
        for name, made in runs.items():
            row = {"case": case, "by": name, "unit": unit, "runs": rates[name], "median": median(rates[name])}
            row["finished"] = all(run.done == run.of for run in made)
            if name != self.name and theirs:
                row["ratio"] = round(row["median"] / theirs, 2)
            self._rows.append(row)

    def cannot_run(self, reason: str) -> None:
        """Say why a peer is not measured."""
        self._rows.append({"case": "all", "by": self.name, "unit": "", "runs": [], "median": None, "reason": reason})

    def write(self) -> None:
        """Print the document."""
        print(json.dumps({"name": self.name, "versions": self._versions, "rows": self._rows}, indent=2))
