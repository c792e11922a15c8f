import importlib.metadata
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def entry_point(tmp_path_factory):
    """Let the engine be found by its name where this checkout is not what is installed."""
    if "lazy" in importlib.metadata.entry_points(group="taskflow.engines").names:
        yield
        return
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    engines = settings["options.entry_points"]["taskflow.engines"].strip()
    place = tmp_path_factory.mktemp("installed")
    info = place / "lazyengine_checkout-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lazyengine-checkout\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[taskflow.engines]\n{engines}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        yield
