"""The examples, run as their reader would."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_worker_brings_the_release_to_its_end(serve):
    """`worker.py` alone, knowing nothing but the API, works off `release.yaml`."""
    service = serve()
    start = {"definition": (EXAMPLES / "release.yaml").read_text(), "input": {"version": "1.0"}}
    status, execution = service.request("POST", "/executions", start)
    assert status == 201
    worker = [sys.executable, str(EXAMPLES / "worker.py"), service.url, "--idle", "2"]
    ended = subprocess.run(worker, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines()[-1] == "publish: SUCCESS; the execution is SUCCESS"
    _, execution = service.request("GET", f"/executions/{execution['id']}")
    assert execution["output"] == {"released": True}
    _, task = service.request("GET", f"/executions/{execution['id']}/tasks/build")
    assert task["result"] == {"artifact": "all.tar.gz"}
