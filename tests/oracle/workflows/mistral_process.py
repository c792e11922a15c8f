"""A process that runs workflows with Mistral, asked line by line."""

import json
import select
import subprocess
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("mistral_workflows.py")


class MistralProcess:
    """Started with the first job, and anew after one that it did not survive."""

    def __init__(self, python: str) -> None:
        self.python, self.process = python, None

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the outcome of a job."""
        if self.process is None:
            self.process = subprocess.Popen(
                [self.python, "-W", "ignore", DRIVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        readable, _, _ = select.select([self.process.stdout], [], [], 90)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.close()
            return {"timeout": "the process"}
        outcome: dict[str, Any] = json.loads(line)
        assert outcome.pop("id") == job["id"]
        return outcome

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None
