"""The results as tables that people read, in reStructuredText: the documentation includes them as they are.

python -m bench.tables results.json > tables.rst
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench.harness import figure

HEADINGS = ("case", "median", "least", "most", "unit", "in comparison")


def page(results: dict[str, Any]) -> str:
    """Write everything: where it was measured, then a table for each program."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [
        f"Measured at {results['measured_at']} on {machine['processors']}, {machine['memory_gib']} GiB; {versions}.",
        *(["**A quick run: the figures mean little.**"] if results["quick"] else []),
    ]
    return "\n\n".join([*lines, *(section(program) for program in results["programs"])]) + "\n"


def section(program: dict[str, Any]) -> str:
    title = program["name"] + (f", {program['backend']}" if "backend" in program else "")
    if "failed" in program:
        return f"*{title}*: could not be run ({program['failed']})."
    return f"*{title}*\n\n" + table([cells(row) for row in program["rows"]])


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    comparisons = [f"{figure(value)} of {base}" for base, value in row.get("ratios", {}).items()]
    if "share" in row:
        comparisons.append(f"{row['share']:.1%}")
    comparisons += [row[name] for name in ("target", "note") if name in row]
    runs = row["runs"]
    figures = map(figure, (row["median"], min(runs), max(runs))) if runs else ("", "", "")
    return row["case"], *figures, row["unit"], "; ".join(comparisons)


def table(rows: list[tuple[str, ...]]) -> str:
    """Write a simple table."""
    filled = [tuple(cell or "\\" for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *filled, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (HEADINGS, *filled)]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
