"""Graphviz and Mermaid themselves read the pictures, whatever tasks are called."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lazyengine.core.graph import Command
from lazyengine.pictures import dot, mermaid
from tests.conftest import unavailable
from tests.unit.pictures.awkward import NAMES, awkward

PARSE = Path(__file__).parent / "parse.mjs"
PACKAGES = ("@viz-js/viz@3", "mermaid@11", "jsdom@26")


def run(*words, directory):
    environ = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
    return subprocess.run(words, cwd=directory, env=environ, capture_output=True, text=True, timeout=240)


@pytest.fixture
def parsers(tmp_path):
    """A directory with the parsers, from npm: Graphviz as WebAssembly, and Mermaid."""
    if not (shutil.which("node") and shutil.which("npm")):
        unavailable("node or npm is not installed")
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    done = run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES, directory=tmp_path)
    if done.returncode:
        unavailable(f"npm cannot install: {done.stdout}{done.stderr}")
    shutil.copy(PARSE, tmp_path)
    return tmp_path


def plain(label):
    """Read a label as Mermaid keeps it: numbers are marked with `ﬂ°°34¶ß`, and references of HTML may be left."""
    return html.unescape(re.sub(r"ﬂ°°(\d+)¶ß", r"&#\1;", label)).replace("\u2060", "")


def test_graphviz_and_mermaid_read_every_name_as_it_is(parsers):
    shown = awkward()
    (parsers / "g.dot").write_text(dot(shown), encoding="utf-8")
    (parsers / "g.mmd").write_text(mermaid(shown), encoding="utf-8")
    done = run("node", "parse.mjs", "g.dot", "g.mmd", directory=parsers)
    assert done.returncode == 0, done.stderr
    parsed = json.loads(done.stdout)
    expected = {f"n{number}": name for number, name in enumerate(NAMES)}
    ends = {f"e{number}": command.value for number, command in enumerate(Command)}
    assert parsed["graphviz"] == expected | ends
    assert parsed["graphvizEdges"] == len(parsed["flowchartEdges"]) == len(shown.edges)
    labels = {key: re.split("<br/?>PENDING", plain(text))[0] for key, (text, _) in parsed["flowchart"].items()}
    assert labels == expected | ends
    classes = {key: " ".join(found) for key, (_, found) in parsed["flowchart"].items()}
    assert classes == dict.fromkeys(expected, "pending") | dict.fromkeys(ends, "command")
    assert parsed["flowchartEdges"][: len(NAMES) - 1] == [[f"n{i}", f"n{i + 1}"] for i in range(len(NAMES) - 1)]
