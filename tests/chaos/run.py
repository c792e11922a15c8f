"""Run many executions while everything is killed at random, and check that nothing was lost, doubled or contradicted.

python tests/chaos/run.py --seconds 60 --seed 1 --database postgresql

PostgreSQL with RabbitMQ, each a server of our own that is killed too; or SQLite, where all tasks are pulled.  Exits
with 1 if there is a violation.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random, randrange
from typing import Any

from api import Api, Unanswered
from checker import Checker
from servers import PostgreSQL, RabbitMQ, end_group, environment, free_port, wait_for_port
from workload import workload

HERE = Path(__file__).parent
SETTLE_SECONDS = 300.0
"""How long executions may take to end once nothing is killed any more; some wait for leases and delays."""

STARTS_PER_SECOND = 3.0
MOST_RUNNING = 60
"""Executions at a time: a slow machine could not keep up, and leases would run out in the queue for ever."""

LAZYENGINE = (sys.executable, "-m", "lazyengine")


class Kept:
    """A process that is started again whenever it was killed."""

    def __init__(self, kind: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.kind, self.command, self.environ, self.log = kind, command, environ, log
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command, env=self.environ, stdout=log, stderr=log, start_new_session=True, cwd=self.log.parent
            )

    def kill(self) -> None:
        end_group(self.process)
        self.process = self.start()

    def kill_child(self, dice: Random) -> bool:
        """Kill one of the processes that it has started, which is its own to replace."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self.process.poll() is None else []
        if children:
            os.kill(int(dice.choice(children)), signal.SIGKILL)
        return bool(children)

    def stop(self) -> None:
        """Ask it to end; who does not in time is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                end_group(self.process)


class Chaos:
    """One run in a directory of its own."""

    def __init__(self, directory: Path, seed: int, database: str) -> None:
        self.directory, self.seed, self.dice = directory, seed, Random(seed)
        self.servers: list[Any] = []
        self.done = Counter[str]()
        self.started: dict[str, str] = {}
        self.over = threading.Event()
        targets = {}
        if database == "postgresql":
            self.servers = [PostgreSQL(directory), RabbitMQ(directory)]
            self.url, broker = self.servers[0].url, self.servers[1].url
            targets = {"queue": {"sender": "amqp", "url": broker, "queue": "queue", "lease_seconds": 5}}
        else:
            self.url, broker = f"sqlite:///{directory / 'chaos.db'}", ""
        self.ports = [free_port(), free_port()]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.targets = ["pull", "default", *targets]
        self.environ = environment(
            LAZYENGINE_DATABASE_URL=self.url, LAZYENGINE_TARGETS=json.dumps(targets), LAZYENGINE_EXPRESSION_PROCESSES=1,
            PYTHONPATH=os.pathsep.join((str(HERE), *sys.path)),
        )  # fmt: skip
        subprocess.run([*LAZYENGINE, "db", "upgrade"], env=self.environ, check=True, stdout=subprocess.DEVNULL)
        self.kept = [
            *(self.keep("service", *LAZYENGINE, "serve", "--api-only", "--workers", "2", "--port", str(port))
              for port in self.ports),
            *(self.keep("dispatcher", *LAZYENGINE, "dispatch") for _ in range(2)),
            *(self.keep("worker", *LAZYENGINE, "work", "--api", url, "--concurrency", "4") for url in self.urls),
            *(self.keep("worker", *self.worker(f"pull-{at}")) for at in range(2)),
            *(self.keep("worker", *self.worker(f"queue-{at}"), broker) for at in range(2) if broker),
        ]  # fmt: skip

    def keep(self, kind: str, *command: str) -> Kept:
        return Kept(kind, command, self.environ, self.directory / f"{kind}-{uuid.uuid4().hex[:6]}.log")

    def worker(self, name: str) -> tuple[str, ...]:
        log = self.directory / f"{name}.jsonl"
        return (sys.executable, str(HERE / "worker.py"), name, str(self.seed), str(log), ",".join(self.urls))

    # -- what goes on -------------------------------------------------------------------------------------------------

    def call(self) -> None:
        """Start executions, and now and then steer one."""
        dice, api, number = Random(f"call-{self.seed}"), Api(self.urls), 0
        while not self.over.wait(dice.expovariate(STARTS_PER_SECOND)):
            number += 1
            id, body = (
                str(uuid.UUID(int=dice.getrandbits(128), version=4)),
                workload(self.seed * 10**6 + number, self.targets),
            )
            try:
                running = api.call("GET", f"/executions?state=RUNNING&limit={MOST_RUNNING}")[1]["executions"]
                if len(running) >= MOST_RUNNING:
                    continue
                status, answer = api.call("POST", "/executions", body | {"id": id})
                if status in (200, 201):
                    self.started[id] = body["definition"]
                else:
                    self.done[f"start refused: {answer['code']}"] += 1
                if dice.random() < 0.1:
                    wish = dice.choice(("SUSPENDED", "CANCELLED", "RUNNING"))
                    api.call("PUT", f"/executions/{dice.choice(list(self.started) or [id])}", {"state": wish})
            except Unanswered:
                self.done["unanswered calls"] += 1

    def resume(self) -> None:
        """Let what was suspended go on, after a while."""
        api = Api(self.urls)
        while not self.over.wait(2.0):
            self.resume_all(api)

    def resume_all(self, api: Api) -> int:
        """Return how many executions are not final, at most a page of them."""
        try:
            _, page = api.call("GET", "/executions?state=SUSPENDED,SUSPENDING&sort=created_at:asc&limit=1000")
            for one in page["executions"]:
                api.call("PUT", f"/executions/{one['id']}", {"state": "RUNNING"})
            _, running = api.call("GET", "/executions?state=RUNNING,SUSPENDED,SUSPENDING&limit=1000")
        except Unanswered:
            return -1
        return len(running["executions"])

    def break_something(self) -> None:
        kind = self.dice.choices(
            ("child", "service", "dispatcher", "worker", *(server.name for server in self.servers)),
            (4, 2, 4, 6, *([2, 1] if self.servers else [])),
        )[0]
        if kind in ("postgresql", "rabbitmq"):
            next(server for server in self.servers if server.name == kind).restart()
            self.done[f"restarts of {kind}"] += 1
            return
        victim = self.dice.choice([one for one in self.kept if one.kind == ("service" if kind == "child" else kind)])
        if kind != "child":
            victim.kill()
        elif not victim.kill_child(self.dice):
            return
        self.done[f"kills of a {'process of a service' if kind == 'child' else kind}"] += 1

    def run(self, seconds: float) -> None:
        for port in self.ports:
            wait_for_port(port)
        threads = [threading.Thread(target=what, daemon=True) for what in (self.call, self.resume)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(self.dice.uniform(0.2, 1.5))
            self.break_something()
        self.over.set()
        for thread in threads:
            thread.join()
        self.settle()

    def settle(self) -> None:
        api, until = Api(self.urls), time.monotonic() + SETTLE_SECONDS
        began = time.monotonic()
        while self.resume_all(api) and time.monotonic() < until:
            time.sleep(0.5)
        self.done["seconds to settle"] = round(time.monotonic() - began)

    def stop(self) -> None:
        for one in self.kept:
            one.stop()

    # -- what came of it ----------------------------------------------------------------------------------------------

    def verdict(self) -> dict[str, Any]:
        told = [json.loads(line) for log in self.directory.glob("*.jsonl") for line in whole_lines(log)]
        recorded = [one for one in told if one["what"] in ("recorded", "replayed")]
        checker = Checker(self.url, self.started, recorded)
        violations = list(checker.violations())
        attempts = Counter(
            tuple(one[name] for name in ("execution_id", "task", "iteration", "item", "attempt"))
            for one in told if one["what"] == "got"
        )  # fmt: skip
        states = Counter(row.state for row in checker.executions.values())
        return {
            "executions": len(checker.executions), "states": dict(states),
            "task attempts": sum(len(rows) for rows in checker.outcomes().values()),
            "reports recorded": sum(one["what"] == "recorded" for one in told),
            "reports refused": dict(Counter(one["code"] for one in told if one["what"] == "refused")),
            "assignments received": sum(attempts.values()),
            "received again": sum(times - 1 for times in attempts.values()),
            **self.done, "violations": len(violations), "first violations": violations[:20],
        }  # fmt: skip


def whole_lines(log: Path) -> list[str]:
    """Return what was written whole: whoever is killed may leave a part of a line."""
    return [line for line in log.read_text().splitlines() if line.endswith("}") and line.startswith("{")]


def run(seconds: float, seed: int, database: str, keeps: bool) -> bool:
    """Run once, print what came of it, and return whether it was as it has to be."""
    directory = Path(tempfile.mkdtemp(prefix="lazyengine-chaos-"))
    try:
        chaos = Chaos(directory, seed, database)
    except FileNotFoundError as missing:
        print(f"skipped on {database}: {missing}")
        return os.environ.get("CI") != "true"
    try:
        chaos.run(seconds)
        chaos.stop()
        verdict = chaos.verdict()
    finally:
        for one in chaos.kept:
            end_group(one.process)
        for server in chaos.servers:
            server.stop()
    print(json.dumps({"seed": seed, "database": database, "seconds": seconds} | verdict, indent=2), flush=True)
    if verdict["violations"] or keeps:
        print(f"logs and tables: {directory}")
    else:
        shutil.rmtree(directory)
    return bool(verdict["executions"]) and not verdict["violations"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="of the workflows, and of what is killed when; any if left out")
    parser.add_argument("--database", nargs="+", choices=("postgresql", "sqlite"), default=["postgresql", "sqlite"])
    parser.add_argument("--keep", action="store_true", help="leave the directories of the runs where they are")
    options = parser.parse_args()
    seed = randrange(10**6) if options.seed is None else options.seed
    print(f"the seed is {seed}: --seed {seed} brings the same workflows again", flush=True)
    is_right = [run(options.seconds, seed, database, options.keep) for database in options.database]
    return 0 if all(is_right) else 1


if __name__ == "__main__":
    sys.exit(main())
