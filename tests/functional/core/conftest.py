"""The driver and the oracle live with the unit tests of the core."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "core"))
