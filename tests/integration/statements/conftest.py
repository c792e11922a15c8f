"""The short ways to drive an engine live with its conformance suite."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "functional" / "engine"))
