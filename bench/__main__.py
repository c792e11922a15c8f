"""Run the benchmarks, and write what they found as one JSON document and as one page of tables.

    python -m bench [--quick] [--out build/bench] [program …]

Without a program all of them run, one after the other, those of `bench.peers` last.  Each can also be run alone, as in
`python -m bench.put --help`.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.harness import parser, say
from bench.tables import page

PROGRAMS = (
    "put", "profile", "verbs", "graphs", "core", "sizes", "finished", "large", "memory", "latency", "purge",
    "flow_completion", "peers.mistral", "peers.taskflow", "peers.dbos", "peers.celery", "peers.prefect",
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


def run(program: str, arguments: list[str]) -> dict[str, Any]:
    """Run a program; what fails is reported as such, and stops nothing."""
    say(f"== {program}")
    package, _, peer = program.rpartition(".")
    module = ["bench.peers", peer] if package else [f"bench.{program}"]
    process = subprocess.Popen([sys.executable, "-m", *module, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        printed, _ = process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        return {"name": program, "rows": [], "failed": f"not done after {LONGEST_SECONDS:,.0f} s"}
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
    options.add_argument("programs", nargs="*", metavar="program", default=PROGRAMS, help=", ".join(PROGRAMS))
    chosen = options.parse_args()
    began = datetime.now(UTC).isoformat(timespec="seconds")
    found = [run(program, ["--quick"] if chosen.quick else []) for program in chosen.programs]
    results = {"measured_at": began, "quick": chosen.quick, "machine": machine(), "programs": found}
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    text = page(results)
    (chosen.out / "tables.rst").write_text(text)
    print(text)
    return any("failed" in one for one in found)


if __name__ == "__main__":
    sys.exit(main())
