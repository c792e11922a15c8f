"""Compare lazyengine with a peer, each in an environment of its own.

    python bench/peers/run.py celery_chains.py --quick > celery.json

A program names what it needs as inline script metadata (PEP 723).  Its environment is made the first time, in
`build/peers`, and made anew when that changes; everything else on the command line goes to the program, which prints
its figures as JSON.  lazyengine, with its extras postgresql, mysql and taskflow, has to be in the environment of the
Python that runs this.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parents[1] / "build" / "peers"
METADATA = re.compile(r"^# /// script\n(.*?)^# ///$", re.MULTILINE | re.DOTALL)


def requirements(program: Path) -> list[str]:
    """Return what a program says that it depends on."""
    found = METADATA.search(program.read_text())
    assert found is not None
    metadata = re.sub(r"^# ?", "", found[1], flags=re.MULTILINE)
    return list(tomllib.loads(metadata)["dependencies"])


def environment(program: Path) -> Path:
    """Make the environment of a program, unless it is there; return its Python."""
    needs = requirements(program)
    place = PLACE / f"{program.stem}-{hashlib.sha256(json.dumps(needs).encode()).hexdigest()[:8]}"
    made = place / "made"
    if not made.exists():
        print(f"making {place}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        install = [place / "bin" / "python", "-m", "pip", "install", "--quiet", *needs]
        subprocess.run(install, stdout=sys.stderr, check=True)
        made.touch()
    return place / "bin" / "python"


def main() -> int:
    if not sys.argv[1:] or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    program = HERE / sys.argv[1]
    command = [environment(program), program, "--ours", sys.executable, *sys.argv[2:]]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
