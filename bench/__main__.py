"""Run the benchmarks, and write what they found as one JSON document and as one page of tables.

    python -m bench [--quick] [--out build/bench] [program …]

Without a program all of them run, one after the other, in an order in which the last ones can be spared first: those
for which `--minutes` leave no time are reported as left out.  The results are written after each program, and `--add`
keeps what was found before by others.  Each can also be run alone, as in `python -m bench.put --help`.
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.harness import parser, say
from bench.tables import page

PROGRAMS = (
    "put", "profile", "verbs", "graphs", "core", "sizes", "finished", "large", "latency",
    "peers.mistral", "peers.taskflow", "peers.dbos", "peers.celery", "peers.prefect",
    "memory", "flow_completion", "purge",
)  # fmt: skip
"""`bench.floor` is not among them: the others measure the floor in their own rounds."""

LONGEST_SECONDS = 3_600.0
PACKAGES = ("lazyengine", "gunicorn", "pecan", "WSME", "SQLAlchemy", "psycopg", "PyMySQL", "taskflow")


def machine() -> dict[str, Any]:
    """Tell where this is measured, and with what."""
    cpus = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {"Python": platform.python_version(), "Linux": platform.release()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processors": f"{len(os.sched_getaffinity(0))} processors ({cpus[0] if cpus else platform.machine()})",
        "memory_gib": round(memory / 2**30, 1),
        "versions": versions | servers(),
    }


def servers() -> dict[str, str]:
    """Return the versions of the database servers that answer."""
    import sqlite3

    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError

    from bench.places import NAMES, SERVERS

    found = {"SQLite": sqlite3.sqlite_version}
    for backend, url in SERVERS.items():
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                query = "SHOW server_version" if backend == "postgresql" else "SELECT version()"
                found[NAMES[backend]] = str(connection.execute(text(query)).scalar())
        except DBAPIError as error:
            say(f"no {NAMES[backend]}: {error.orig}")
        engine.dispose()
    return found


def run(program: str, arguments: list[str], seconds: float) -> dict[str, Any]:
    """Run a program for so long at most; what fails is reported as such, and stops nothing."""
    if seconds <= 0:
        return {"name": program, "rows": [], "failed": "no time was left for it"}
    say(f"== {program}")
    package, _, peer = program.rpartition(".")
    module = ["bench.peers", peer] if package else [f"bench.{program}"]
    process = subprocess.Popen([sys.executable, "-m", *module, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"name": program, "rows": [], "failed": f"not done after {seconds:,.0f} s"}
    finally:
        process.terminate()
        process.wait()
    if process.returncode or not printed.strip():
        return {"name": program, "rows": [], "failed": f"ended with status {process.returncode}"}
    found: dict[str, Any] = json.loads(printed)
    return found


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--out", type=Path, default=Path("build/bench"), help="for results.json and tables.rst")
    options.add_argument("--minutes", type=float, default=600.0, help="for all of them together")
    options.add_argument("--add", action="store_true", help="to what results.json has of other programs")
    options.add_argument("programs", nargs="*", metavar="program", default=PROGRAMS, help=", ".join(PROGRAMS))
    chosen = options.parse_args()
    began = datetime.now(UTC).isoformat(timespec="seconds")
    deadline = time.monotonic() + 60 * chosen.minutes
    results = {"measured_at": began, "quick": chosen.quick, "machine": machine()}
    before = chosen.out / "results.json"
    kept = json.loads(before.read_text())["programs"] if chosen.add and before.exists() else []
    found = {one["name"]: one for one in kept}
    for program in chosen.programs:
        left = min(LONGEST_SECONDS, deadline - time.monotonic())
        found[program] = run(program, ["--quick"] if chosen.quick else [], left) | {"name": program}
        write(chosen.out, results | {"programs": list(found.values())})
    print((chosen.out / "tables.rst").read_text())
    return any("failed" in found[program] for program in chosen.programs)


def write(place: Path, results: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    (place / "tables.rst").write_text(page(results))


if __name__ == "__main__":
    sys.exit(main())
