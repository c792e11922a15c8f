"""Which TaskFlow flows a service runs: those of installed packages, and those that its settings name.

A package registers a flow as an entry point of the group `lazyengine.flows`; the setting `flows` adds to them, or
replaces one, as ``name=package.module:factory``, separated by commas or blanks.  No caller ever names code: a request
has the name only.  A factory takes no arguments and makes the same flow whenever it is called; it is imported and
called when its flow is first asked for.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from lazyengine.errors import SettingsInvalid
from lazyengine.settings import Settings

if TYPE_CHECKING:
    from lazyengine.workflows import FlowSource

GROUP = "lazyengine.flows"
NAME = re.compile(r"(?!std\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

Factory = Callable[[], Any]


def registered_flows(settings: Settings) -> "FlowSource | None":
    """Return the flows of a service, or None where TaskFlow, which is an extra, is not installed.

    :raises SettingsInvalid: `flows` does not make sense, or there are flows and no TaskFlow
    """
    factories = registered_factories(settings)
    if find_spec("taskflow") is not None:
        return cast("FlowSource", import_module("lazyengine.flows").Flows(factories, hands_out=True))
    if factories:
        names = ", ".join(f"'{name}'" for name in sorted(factories))
        raise SettingsInvalid(reason=f"the flows {names} need TaskFlow: install lazyengine[taskflow]")
    return None


def registered_factories(settings: Settings) -> Mapping[str, Factory]:
    """Return the factories by the names of their flows.

    :raises SettingsInvalid: an entry of `flows` is not ``name=package.module:factory``, or there are two of one name
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    for name in points:
        if not NAME.fullmatch(name):
            raise SettingsInvalid(reason=f"an entry point of {GROUP} cannot have the name '{name}'")
    named: dict[str, EntryPoint] = {}
    for entry in settings.flows.replace(",", " ").split():
        name, _, place = entry.partition("=")
        if not NAME.fullmatch(name) or not PLACE.fullmatch(place) or name in named:
            raise SettingsInvalid(
                reason=f"flows has to hold name=package.module:factory, each name once, not '{entry}'"
            )
        named[name] = EntryPoint(name, place, GROUP)
    return {name: _lazy(point) for name, point in (points | named).items()}


def _lazy(point: EntryPoint) -> Factory:
    return lambda: point.load()()
