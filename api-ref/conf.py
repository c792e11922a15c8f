"""Sphinx: `tox -e docs` renders this folder, with the README and its companions, as HTML."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "lazyengine"
author = "the lazyengine developers"
extensions = ["rendering"]
html_theme = "alabaster"
html_theme_options = {"description": "A passive, persistent workflow engine behind a REST API", "page_width": "1100px"}
exclude_patterns = []
