"""The application, with the processor time of each layer measured where a call goes from one layer to another.

Every function and method of our packages, and the methods of a few classes of others, are wrapped.  A call that comes
from another layer reads the processor time of its thread, which stands still while the thread waits, and charges what
has passed to the layer that was at work.  GET /layers answers with the sums in nanoseconds.  What generators do is
charged to whoever draws from them; so are built-in functions and the standard library to their caller.
"""

import importlib
import json
import pkgutil
import sys
import threading
from functools import wraps
from inspect import isclass, isfunction, isgeneratorfunction
from time import thread_time_ns

import lazyengine
from lazyengine import wsgi

OURS = {
    "API": ("lazyengine.api", "lazyengine.wsgi", "lazyengine.callbacks", "lazyengine.auth"),
    "core": ("lazyengine.core",),
    "store": ("lazyengine.db",),
    "engine": ("lazyengine",),
}
"""By the beginning of the name of a module; the first that fits."""

SERVER = ("lazyengine.balancing", "lazyengine.messages", "lazyengine.parking", "lazyengine.serving")
"""What is gunicorn's part, which is what the layers leave."""

THEIRS = {
    "Pecan and WebOb": ("pecan.core.PecanBase", "pecan.core.Pecan", "webob.response.Response",
                        "webob.request.BaseRequest"),
    "WSME": ("wsme.types.wsattr", "wsme.types.Base", "wsme.types.UserType", "wsme.types.ArrayType", "wsme.types.Enum"),
    "SQLAlchemy": (
        "sqlalchemy.engine.base.Connection", "sqlalchemy.engine.base.Engine", "sqlalchemy.engine.base.Transaction",
        "sqlalchemy.engine.base.RootTransaction", "sqlalchemy.engine.util.TransactionalContext",
        "sqlalchemy.engine.result.Result", "sqlalchemy.engine.result.MappingResult",
        "sqlalchemy.engine.result.ScalarResult", "sqlalchemy.engine.cursor.CursorResult",
    ),
    "driver": (
        "psycopg.Cursor", "psycopg.Connection", "psycopg._connection_base.BaseConnection",
        "psycopg._cursor_base.BaseCursor", "psycopg._server_cursor_base.ServerCursorMixin",
    ),
}  # fmt: skip
DUNDERS = {"__call__", "__enter__", "__exit__", "__iter__", "__set__"}
OUTSIDE = "outside"


class Clock(threading.local):
    """What the layers have taken in this thread."""

    def __init__(self) -> None:
        self.layer, self.since, self.taken = OUTSIDE, 0, dict.fromkeys([OUTSIDE, *OURS, *THEIRS], 0)
        _all.append(self.taken)

    def turn(self, layer: str) -> None:
        """Charge the layer that was at work, and go on with another."""
        now = thread_time_ns()
        self.taken[self.layer] += now - self.since
        self.layer, self.since = layer, now


_all: list[dict[str, int]] = []
_clock = Clock()


def watched(function, layer):
    """Return `function`, charging its layer."""
    clock = _clock

    @wraps(function)
    def charged(*args, **kwargs):
        before = clock.layer
        if before == layer:
            return function(*args, **kwargs)
        clock.turn(layer)
        try:
            return function(*args, **kwargs)
        finally:
            clock.turn(before)

    return charged


def watch_class(cls, layer) -> None:
    for name, value in list(vars(cls).items()):
        if name.startswith("__") and name not in DUNDERS:
            continue
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isfunction(inner) and not isgeneratorfunction(inner) and not hasattr(inner, "exposed"):
            made = watched(inner, layer)
            setattr(cls, name, type(value)(made) if inner is not value else made)


def watch() -> None:
    """Wrap everything."""
    for found in pkgutil.walk_packages(lazyengine.__path__, "lazyengine."):
        if not found.name.endswith("__main__") and "migrations" not in found.name:
            try:
                importlib.import_module(found.name)
            except ImportError:  # of an extra that is not installed
                continue
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "lazyengine"}
    modules = [(name, module) for name, module in ours.items() if not name.startswith(SERVER)]
    replaced = {}
    for name, module in modules:
        layer = next(layer for layer, beginnings in OURS.items() if name.startswith(beginnings))
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) != name:
                continue
            if isclass(value):
                watch_class(value, layer)
            elif isfunction(value) and not isgeneratorfunction(value):
                replaced[value] = watched(value, layer)
    for _, module in modules:
        for name, value in list(vars(module).items()):
            if isfunction(value) and value in replaced:
                setattr(module, name, replaced[value])
    for layer, classes in THEIRS.items():
        for path in classes:
            place, _, name = path.rpartition(".")
            watch_class(getattr(importlib.import_module(place), name), layer)


watch()


def application(environ, start_response):
    """Serve a request of the API, or tell the sums."""
    if environ["PATH_INFO"] != "/layers":
        _clock.since = thread_time_ns()
        return wsgi.application(environ, start_response)
    sums = {layer: sum(taken[layer] for taken in list(_all)) for layer in (*OURS, *THEIRS)}
    body = json.dumps(sums).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
