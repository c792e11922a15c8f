"""`python -m lazyengine.api api-ref/openapi.yaml` writes the OpenAPI document of the API to a file."""

import sys
from pathlib import Path

from lazyengine.api import openapi
from lazyengine.api.app import document

Path(sys.argv[1]).write_text(openapi.text(dict(document())))
