"""Which actions there are: the standard ones, and those of installed packages."""

from collections.abc import Callable, Collection
from importlib.metadata import entry_points
from typing import Any

from lazyengine.actions.contract import Handler, handler_of
from lazyengine.actions.http import http, mistral_http
from lazyengine.actions.standard import make_dict, sleep
from lazyengine.errors import SettingsInvalid

GROUP = "lazyengine.actions"
STANDARD: dict[str, Callable[..., Any]] = {
    "std.http": http,
    "std.mistral_http": mistral_http,
    "std.sleep": sleep,
    "std.test_dict": make_dict,
}
"""`std.noop`, `std.echo` and `std.fail` end in the transaction that begins them, and `std.async_noop` is done by its
callback: no worker ever gets one."""


def load(names: Collection[str] = ()) -> dict[str, Handler]:
    """Return the handlers of these actions, or of all there are.

    :raises SettingsInvalid: there is none of this name, or it cannot be imported
    """
    found = {point.name: point.load for point in entry_points(group=GROUP)}
    unknown = sorted(set(names) - found.keys() - STANDARD.keys())
    if unknown:
        known = ", ".join(sorted({*found, *STANDARD}))
        raise SettingsInvalid(reason=f"no action '{unknown[0]}' is installed here; there are {known}")
    handlers: dict[str, Handler] = {}
    for name in names or {*found, *STANDARD}:
        try:
            handlers[name] = handler_of(STANDARD.get(name) or found[name]())
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise SettingsInvalid(reason=f"the action '{name}' cannot be loaded: {error}") from error
    return handlers
