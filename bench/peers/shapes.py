"""The cases that peers are measured on, as documents of the Mistral language."""

from typing import Any

from bench import shapes
from bench.shapes import Tasks, chain, diamond, layered

ACTION = "std.async_noop"
"""Somebody else has to say that it is done."""

SHAPES: dict[str, tuple[int, Tasks]] = {
    "chains 1x100": (1, chain(100, ACTION)),
    "chains 5x100": (5, chain(100, ACTION)),
    "chains 20x100": (20, chain(100, ACTION)),
    "diamond 100": (1, diamond(100, ACTION)),
    "layered 10x10": (1, layered(10, 10, ACTION)),
}
"""By the name of the case: how many executions at once, and the tasks of each."""


def name_of(case: str) -> str:
    """Return the name of the workflow of a case."""
    return "".join(letter if letter.isalnum() else "_" for letter in case)


def definition(case: str) -> dict[str, Any]:
    """Return the workflow of a case."""
    return shapes.definition(name_of(case), SHAPES[case][1])
