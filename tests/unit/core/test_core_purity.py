"""The core knows the standard library and itself."""

import json
import subprocess
import sys
from pathlib import Path

import lazyengine.core

SCRIPT = """
import importlib, json, pkgutil, sys
import lazyengine.core
for module in pkgutil.iter_modules(lazyengine.core.__path__, "lazyengine.core."):
    importlib.import_module(module.name)
print(json.dumps(sorted(sys.modules)))
"""


def test_a_fresh_interpreter_finds_only_the_standard_library_and_the_core():
    """-S -E: without what site-packages or the environment would import by itself."""
    root = Path(lazyengine.core.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", SCRIPT], cwd=root, capture_output=True, text=True, check=True
    )
    modules = json.loads(done.stdout)
    own = {path.stem for path in Path(lazyengine.core.__file__).parent.glob("*.py")} - {"__init__"}
    assert {f"lazyengine.core.{name}" for name in own} <= set(modules)
    foreign = [
        module
        for module in modules
        if module.partition(".")[0] not in {*sys.stdlib_module_names, "__main__"}
        and module not in ("lazyengine", "lazyengine.core")
        and not module.startswith("lazyengine.core.")
    ]
    assert foreign == []
