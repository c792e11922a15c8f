"""The API over an engine that only remembers what it was asked."""

import pytest
from asked_engine import Asked
from webtest import TestApp

from lazyengine.api.app import make_app
from lazyengine.settings import Settings


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def settings() -> Settings:
    return Settings(max_body_bytes=100_000)


@pytest.fixture
def api(asked: Asked, settings: Settings) -> TestApp:
    return TestApp(make_app(asked, settings))
