"""Both engines, each brought up once; whatever Mistral needs is installed as for the oracle of expressions."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.expressions.conftest import mistral_python  # noqa: F401
from tests.oracle.workflows.mistral_process import MistralProcess
from tests.oracle.workflows.our_workflows import Service

WHERE = "import importlib.util as u; print(u.find_spec('mistral').submodule_search_locations[0])"


@pytest.fixture(scope="session")
def mistral_engine(mistral_python: str) -> Iterator[MistralProcess]:  # noqa: F811
    process = MistralProcess(mistral_python)
    yield process
    process.close()


@pytest.fixture(scope="session")
def mistral_sources(mistral_python: str) -> Path:  # noqa: F811
    told = subprocess.run([mistral_python, "-c", WHERE], capture_output=True, text=True, check=True)
    return Path(told.stdout.strip())


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("oracle"))
    yield service
    service.close()
