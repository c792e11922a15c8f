"""From the commit of a completion to its successor in the hands of a worker that waits in claim.

    python bench/latency_pull.py --database-url postgresql://postgres@127.0.0.1/bench [--count 500] [--rate 0]

It starts `lazyengine serve` on loopback over that database, whose schema it upgrades, and one worker (a thread with its
own connection) that waits in `POST /tasks/claim`.  Another thread completes the first of two tasks, execution after
execution: at once after each other with a pause (idle), or at `--rate` completions a second.  The clock starts when the
answer to the completion is read, or, as `sent`, when the completion is sent; the commit lies between the two.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

CHAIN = {"w": {"tasks": {"first": {"target": "nobody", "on-success": "second"}, "second": {"target": "pull"}}}}
LISTENS = re.compile(r"lazyengine listens on http://127.0.0.1:(\d+)")


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)

    def send(self, method: str, path: str, body: Any) -> Any:
        self.connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status >= 400:
            raise SystemExit(f"{method} {path}: {answer}")
        return answer


def work(port: int, arrived: dict[str, float], over: threading.Event) -> None:
    """Claim until it is over, and note when each task arrived."""
    client = Client(port)
    while not over.is_set():
        claim = {"worker": threading.current_thread().name, "targets": ["pull"], "wait_seconds": 2}
        for task in client.send("POST", "/tasks/claim", claim)["tasks"]:
            arrived[task["execution_id"]] = time.perf_counter()
            done = {"state": "SUCCESS", "attempt": task["attempt"]}
            client.send("PUT", f"/executions/{task['execution_id']}/tasks/second", done)


def measure(port: int, count: int, rate: float, workers: int) -> dict[str, Any]:
    """Return the percentiles, in milliseconds."""
    client, arrived, over = Client(port), dict[str, float](), threading.Event()
    threads = [threading.Thread(target=work, args=(port, arrived, over), name=f"w{n}") for n in range(workers)]
    for thread in threads:
        thread.start()
    ids = [client.send("POST", "/executions", {"definition": CHAIN})["id"] for _ in range(count)]
    time.sleep(1)
    sent, answered = {}, {}
    began = time.perf_counter()
    for number, one in enumerate(ids):
        pause = began + number / rate - time.perf_counter() if rate else 0.05
        time.sleep(max(0.0, pause))
        sent[one] = time.perf_counter()
        client.send("PUT", f"/executions/{one}/tasks/first", {"state": "SUCCESS"})
        answered[one] = time.perf_counter()
    seconds = time.perf_counter() - began
    while len(arrived) < count:
        time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join()
    figures: dict[str, Any] = {"count": count, "workers": workers, "completions_per_second": round(count / seconds, 1)}
    for name, starts in (("answered", answered), ("sent", sent)):
        times = sorted(max(0.0, arrived[one] - starts[one]) * 1000 for one in ids)
        cuts = statistics.quantiles(times, n=100)
        figures[name] = {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "max_ms": round(times[-1], 1)}
    return figures


def main() -> None:
    """Run it, and print a table and, in the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--rate", type=float, default=0.0, help="completions a second; 0 pauses 50 ms after each")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    environ = os.environ | {"LAZYENGINE_DATABASE_URL": options.database_url}
    command = [sys.executable, "-m", "lazyengine"]
    subprocess.run([*command, "db", "upgrade"], env=environ, check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as directory, (Path(directory) / "log").open("w+") as log:
        service = subprocess.Popen([*command, "serve", "--port", "0"], env=environ, stdout=log, stderr=log)
        try:
            while not (found := LISTENS.search(Path(log.name).read_text())):
                if service.poll() is not None:
                    raise SystemExit(Path(log.name).read_text())
                time.sleep(0.1)
            figures = measure(int(found[1]), options.count, options.rate, options.workers)
        finally:
            service.terminate()
            service.wait()
    print(f"{figures['count']} completions at {figures['completions_per_second']} a second, {options.workers} workers")
    for name in ("answered", "sent"):
        print(f"  since {name:9}" + "".join(f"{key} {value:8}  " for key, value in figures[name].items()))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
