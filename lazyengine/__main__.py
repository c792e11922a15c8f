"""`python -m lazyengine` is the command `lazyengine`."""

import sys

from lazyengine.cli import main

sys.exit(main())
