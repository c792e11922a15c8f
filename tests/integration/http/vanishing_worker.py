"""A worker that claims tasks over HTTP, says which, and then works on them for ever: it is there to be killed."""

import json
import sys
import time

from tests.integration.http.client import Client

with Client(int(sys.argv[1])) as client:
    claim = {"worker": "w1", "targets": ["vanish"], "limit": 10, "lease_seconds": float(sys.argv[2])}
    _, answer = client.send("POST", "/tasks/claim", claim)
    print(json.dumps(answer["tasks"]), flush=True)
    time.sleep(120)
