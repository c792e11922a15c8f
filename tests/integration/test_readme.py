"""The README's commands, taken from its text and run as they stand in a copy of the repository."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lazyengine.compilers.workflow import compile_definition

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.rst").read_text()
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("LAZYENGINE_", "COVERAGE_"))}


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language, without their indentation."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)", README, re.MULTILINE)
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE).strip() for block in found]


SERVE, TEST, FIRST, SESSION = blocks("bash")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows of, as a clone would have it."""
    directory = tmp_path_factory.mktemp("clone")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, directory / name)
    return directory


@pytest.fixture
def served(copy: Path) -> Iterator[str]:
    """The first command, running until it listens; yields its log."""
    log = copy / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", SERVE], cwd=copy, env=ENVIRON, stdout=out, stderr=out, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 240
        while "listens on" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        yield log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_one_command_sets_up_and_serves(served):
    """On a fresh machine one line installs the engine and serves it where the README says."""
    url = re.search(r"http://[\d.:]+", README)[0]
    assert f"lazyengine listens on {url}" in served
    with urllib.request.urlopen(f"{url}/readyz") as response:
        assert response.status == 200


def pasted(session: str, directory: Path) -> str:
    """Run a session and return what it said; what it left behind, if anything, is killed."""
    pipe = subprocess.PIPE
    bash = subprocess.Popen(
        ["bash"], cwd=directory, env=ENVIRON, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    try:
        said, errors = bash.communicate(session, timeout=120)
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(bash.pid)], check=False)
    assert bash.returncode == 0, said + errors
    return said.strip() + errors


def test_first_workflow_runs_with_nothing_else_started(copy):
    """A newcomer's `std.http` is done by what `serve` has started, up to the output that the README shows."""
    assert '"output":{"said":"the answer was 200"}' in pasted(FIRST, copy).replace('": ', '":')


def test_session_drives_the_diamond_through_a_kill(copy):
    """The pasted session ends in SUCCESS although every process is killed in its middle."""
    said = pasted(SESSION, copy)
    assert '"replayed":true' in said.replace(" ", ""), said
    assert '"state":"SUCCESS"' in said.rsplit('{"id"', 1)[-1], said


def test_gate_runs_the_test_command():
    """The gate calls the command that the README gives for the tests, and nothing else."""
    gate = (REPOSITORY / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert gate.replace(" --quiet", "") == TEST


def test_example_workflow_compiles():
    """The workflow shown is one that the engine takes."""
    (text,) = blocks("yaml")
    graph, nodes = compile_definition(text, None, "", 1000)
    assert [node.name for node in nodes] == list(yaml.safe_load(text)["release"]["tasks"])
    assert graph.required == ("version",)
