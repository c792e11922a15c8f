"""`GET /metrics` of a service with several processes."""

import os
import signal
import time
import urllib.request
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

REQUESTS = "lazyengine_http_request_duration_seconds_count"


def scraped(url: str) -> tuple[float, list[int]]:
    """Return how often /healthz was answered, and the pids that are told of, the master's first."""
    with urllib.request.urlopen(url + "/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.read().decode()
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    twice = Counter((one.name, frozenset(one.labels.items())) for one in found)
    assert max(twice.values()) == 1
    counted = sum(one.value for one in found if one.name == REQUESTS and one.labels["route"] == "/healthz")
    return counted, [int(one.labels["pid"]) for one in found if one.name == "process_cpu_seconds_total"]


def test_every_worker_tells_of_all_of_them_and_of_those_before(serve, tmp_path: Path) -> None:
    """Each of 60 requests on a connection of its own: whoever is asked knows all, even of a worker that was killed."""
    service = serve("--workers", "3", TMPDIR=str(tmp_path))
    deadline = time.monotonic() + 60
    while len(scraped(service.url)[1]) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)  # the first worker answers before the others are there
    for _ in range(60):
        assert service.request("GET", "/healthz")[0] == 200
    answers = [scraped(service.url) for _ in range(10)]
    assert {counted for counted, _ in answers} == {60.0}
    (pids,) = {tuple(sorted(pids)) for _, pids in answers}
    master, *workers = answers[0][1]
    assert (master, len(workers), len(pids)) == (service.process.pid, 3, 4)
    assert len(list(tmp_path.glob("lazyengine-metrics-*/histogram_*.db"))) > 1, "one worker answered all"
    os.kill(workers[0], signal.SIGKILL)
    time.sleep(2)
    assert service.request("GET", "/healthz")[0] == 200
    assert {scraped(service.url)[0] for _ in range(5)} == {61.0}
    assert service.stop() == 0
    assert list(tmp_path.glob("lazyengine-metrics-*")) == [], "nothing is left behind"
