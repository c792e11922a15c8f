"""Where tasks are pushed to: the table `targets` of the settings, one entry a target.

    [targets.gpu]
    sender = "amqp"
    url = "amqp://rabbit/"

A target without an entry is pulled: its tasks wait on offer until a worker claims them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from lazyengine.errors import SettingsInvalid

SENDERS = ("amqp", "celery", "http")


@dataclass(frozen=True, slots=True)
class Target:
    """How the tasks of a target are sent.

    :param name: of the target
    :param sender: `amqp`, `celery` or `http`
    :param url: of the broker as kombu takes it (`amqp://`, `redis://`), or where to POST to
    :param queue: of the broker; the name of the target if ''
    :param lease_seconds: who gets a task has to report within this time, or it is sent anew as the next attempt; 0: a
        broker that keeps what it took may let it wait for as long as it likes
    :param timeout_seconds: how long one sending may take
    :param sending_seconds: for how long sending an attempt is tried, before the task fails; 0 is for ever
    :param concurrency: sendings at a time, of each dispatcher
    """

    name: str
    sender: str
    url: str
    queue: str = ""
    lease_seconds: float = 0.0
    timeout_seconds: float = 10.0
    sending_seconds: float = 86_400.0
    concurrency: int = 1

    @classmethod
    def read(cls, name: str, entry: Any) -> "Target":
        """Make a target of its entry.

        :raises SettingsInvalid: with what is wrong with it
        """
        place = f"setting 'targets.{name}'"
        if not isinstance(entry, Mapping):
            raise SettingsInvalid(reason=f"{place} has to be a table with 'sender' and 'url', not {entry!r}")
        known = {field.name: field for field in fields(cls) if field.name != "name"}
        for key, value in entry.items():
            if key not in known:
                raise SettingsInvalid(reason=f"{place} has an unknown key '{key}'; known are {', '.join(known)}")
            _check(f"setting 'targets.{name}.{key}'", known[key].type, value)
        missing = [key for key, field in known.items() if field.default is MISSING and key not in entry]
        if missing:
            raise SettingsInvalid(reason=f"{place} lacks '{missing[0]}'")
        if entry["sender"] not in SENDERS:
            raise SettingsInvalid(reason=f"{place}: sender has to be one of {', '.join(SENDERS)}")
        return cls(name, **entry)


def _check(place: str, kind: Any, value: Any) -> None:
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise SettingsInvalid(reason=f"{place} has to be of type {kind.__name__}, not {value!r}")
    if kind is str:
        return
    if value < 0 or (value == 0 and not place.endswith((".lease_seconds'", ".sending_seconds'"))):
        raise SettingsInvalid(reason=f"{place} has to be greater than 0, not {value!r}")


class Targets(Mapping[str, Target]):
    """The targets that are pushed, by name; its text is JSON, which it can be read from again.

    :raises SettingsInvalid: an entry makes no sense
    """

    def __init__(self, given: "str | Mapping[str, Any]" = "") -> None:
        try:
            entries = json.loads(given or "{}") if isinstance(given, str) else given
        except ValueError as error:
            raise SettingsInvalid(reason=f"setting 'targets' is no JSON: {error}") from None
        if not isinstance(entries, Mapping):
            raise SettingsInvalid(reason="setting 'targets' has to be a table of targets, each with 'sender' and 'url'")
        self._targets = {
            name: entry if isinstance(entry, Target) else Target.read(name, entry) for name, entry in entries.items()
        }

    def __getitem__(self, name: str) -> Target:
        return self._targets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __hash__(self) -> int:
        return hash(tuple(self._targets.values()))

    def __str__(self) -> str:
        entries = {name: asdict(target) for name, target in self._targets.items()}
        for entry in entries.values():
            del entry["name"]
        return json.dumps(entries)
