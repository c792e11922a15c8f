"""What the programs have in common: options, interleaved rounds, and the document that each prints.

A program is a module with `main()`, which takes ``--quick`` and prints one JSON document on stdout::

    {"name": "put", "rows": [{"case": "lazyengine, chain", "unit": "completions/s", "runs": [...], "median": ...,
                              "ratios": {"pgbench": 0.3}}]}

Everything else that it has to say goes to stderr.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

ROUNDS = 5

Row = dict[str, Any]


def parser(text: str | None) -> argparse.ArgumentParser:
    """Make a parser with the option that every program takes; a program that has one tidies up when it is interrupted.

    :param text: the docstring of the program
    """
    tidy_up_when_interrupted()
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="show within seconds that it runs; the figures mean little")
    return made


def tidy_up_when_interrupted() -> None:
    """At SIGTERM and Ctrl-C end by an exception, so that what was started is stopped; further ones change nothing."""

    def end(number: int, _: object) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)
        sys.exit(128 + number)

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, end)


def rounds(cases: Mapping[str, Callable[[], float]], count: int = ROUNDS) -> dict[str, list[float]]:
    """Call every case once a round, so that whatever else the machine does meets all of them alike."""
    runs: dict[str, list[float]] = {case: [] for case in cases}
    for number in range(1, count + 1):
        for case, call in cases.items():
            runs[case].append(call())
            say(f"{number}/{count}  {case}: {figure(runs[case][-1])}")
    return runs


def row(case: str, unit: str, runs: Sequence[float], **more: Any) -> Row:
    """Make a row of the document.

    :param more: further members: `ratios` by what they compare with, `target` in words, `note`
    """
    return {"case": case, "unit": unit, "runs": [rounded(run) for run in runs], "median": rounded(median(runs)), **more}


def ratio(runs: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return rounded(median(ours / theirs for ours, theirs in zip(runs, base, strict=True)))


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def emit(name: str, rows: Sequence[Row], **more: Any) -> None:
    """Print the document."""
    print(json.dumps({"name": name, "rows": rows, **more}))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounded(value: float) -> float:
    """Keep four significant digits."""
    return float(f"{value:.4g}")


def figure(value: float) -> str:
    """Write a figure as people read it."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
