"""The API over the real engine, on each kind of database; every answer is held against the OpenAPI document."""

from collections.abc import Callable
from typing import Any

import pytest
from checked_app import DIAMOND, CheckedApp

from lazyengine.api.app import make_app
from lazyengine.engine import Engine
from lazyengine.settings import Settings


@pytest.fixture
def api(engine: Engine, settings: Settings) -> CheckedApp:
    return CheckedApp(make_app(engine, settings))


@pytest.fixture
def start(api: CheckedApp) -> Callable[..., str]:
    """Start a workflow (a diamond) and return the id of the execution."""

    def start(definition: Any = DIAMOND, **body: Any) -> str:
        return str(api.post_json("/executions", {"definition": definition, **body}, status=201).json["id"])

    return start
