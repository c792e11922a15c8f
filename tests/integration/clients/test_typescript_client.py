"""TypeScript types that openapi-typescript makes of the live document are strict enough, and a client with them works.

`diamond.ts` holds the client; that it compiles is half of the test.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import unavailable

HERE = Path(__file__).parent
PACKAGES = ("openapi-typescript@7", "typescript@5", "openapi-fetch@0", "@types/node@20")
COMPILER_OPTIONS = ("--strict", "--target", "es2022", "--module", "nodenext")


@pytest.fixture
def node_modules(tmp_path):
    """The tools, from npm, in the directory of the test."""
    if not (shutil.which("node") and shutil.which("npm")):
        unavailable("node or npm is not installed")
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    try:
        command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES, directory=tmp_path)
    except AssertionError as error:
        unavailable(f"npm cannot install: {error}")
    return tmp_path / "node_modules" / ".bin"


def command(*words, directory):
    """Run a command and return all that it said; it has to succeed."""
    environ = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
    run = subprocess.run(words, cwd=directory, env=environ, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_a_strictly_typed_client_drives_a_diamond(serve, node_modules, tmp_path):
    """Generated without a warning, accepted by `tsc --strict`, run by node to SUCCESS, a 409 and its typed body."""
    service = serve()
    generate = [node_modules / "openapi-typescript", f"{service.url}/openapi.json", "-o", "api.d.ts"]
    said = command(*generate, directory=tmp_path)
    assert "warn" not in said.lower()
    shutil.copy(HERE / "diamond.ts", tmp_path)
    command(node_modules / "tsc", *COMPILER_OPTIONS, "--noEmit", "diamond.ts", directory=tmp_path)
    command(node_modules / "tsc", *COMPILER_OPTIONS, "diamond.ts", directory=tmp_path)
    assert command("node", "diamond.js", service.url, directory=tmp_path) == "SUCCESS\n"
