"""The HTTP API: checked types in, one verb of the engine, the answer out.

Read `app.py` first (what a request passes through), then `operation.py` (what an operation is), then one of the
controllers, of which there is one a noun: `service`, `executions`, `tasks`, `claims`, `workflows`.
"""

VERSION = "1.0"
"""Of the API, not of the software."""
