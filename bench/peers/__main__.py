"""Compare lazyengine with a peer.

    python -m bench.peers celery --quick > celery.json
    python -m bench.peers prepare

The peers are celery, dbos, mistral, prefect and taskflow.  Each program names what it needs as inline script metadata
(PEP 723).  Its environment is made the first time, in `build/peers`, and anew when that changes; whatever follows the
name goes to the program, which prints its figures as JSON.  `prepare` makes all environments.  lazyengine, with its
extras postgresql, mysql and taskflow, has to be in the environment of the Python that runs this.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = ("celery", "dbos", "mistral", "prefect", "taskflow")
METADATA = re.compile(r"^# /// script\n(.*?)^# ///$", re.MULTILINE | re.DOTALL)


def requirements(peer: str) -> list[str]:
    """Return what a program says that it depends on."""
    found = METADATA.search(Path(__file__).with_name(f"{peer}.py").read_text())
    assert found is not None
    return list(tomllib.loads(re.sub(r"^# ?", "", found[1], flags=re.MULTILINE))["dependencies"])


def environment(peer: str) -> Path:
    """Make the environment of a program, unless it is there; return its Python."""
    needs = requirements(peer)
    key = hashlib.sha256(json.dumps(needs).encode()).hexdigest()[:8]
    place = (ROOT / "build" / "peers").resolve() / f"{peer}-{key}"
    made = place / "made"
    if not made.exists():
        print(f"making {place}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        install = [place / "bin" / "python", "-m", "pip", "install", "--quiet", *needs]
        subprocess.run(install, stdout=sys.stderr, check=True)
        made.touch()
    return place / "bin" / "python"


def main() -> None:
    """Become the program."""
    if sys.argv[1:] == ["prepare"]:
        for peer in PEERS:
            environment(peer)
        return
    if sys.argv[1:2] not in [[peer] for peer in PEERS]:
        sys.exit(__doc__)
    peer, *more = sys.argv[1:]
    python = environment(peer)
    os.chdir(ROOT)
    command = [str(python), "-m", f"bench.peers.{peer}", "--ours", sys.executable, *more]
    os.execve(python, command, os.environ | {"PYTHONPATH": str(ROOT)})


if __name__ == "__main__":
    main()
