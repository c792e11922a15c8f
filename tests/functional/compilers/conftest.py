"""What the tests of the compiler share lives with its unit tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "compilers"))
