"""The WSGI application of `gunicorn lazyengine.wsgi:application`, configured by environment and file."""

import threading
from collections.abc import Iterable
from typing import Any

from lazyengine.api.app import make_app
from lazyengine.api.middleware import App
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.registry import registered_flows
from lazyengine.settings import load

_lock = threading.Lock()
_apps: list[App] = []


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Serve a request; the first one of a process makes the engine, so that no connection is inherited by a fork."""
    if not _apps:
        with _lock:
            if not _apps:
                _apps.append(_make())
    return _apps[0](environ, start_response)


def _make() -> App:
    settings = load({})
    database = Database(settings)
    return make_app(Engine(database, settings, flows=registered_flows(settings)), settings)
