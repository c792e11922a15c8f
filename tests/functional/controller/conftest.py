"""The flows live beside the tests, where processes of other tests import them too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
