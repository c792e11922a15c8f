"""From what people write to graphs of the core."""

COMPILER_REVISION = 6
"""Raise it when the same definition compiles to another graph than before: compiled graphs are kept by digest."""
