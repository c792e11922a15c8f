"""The settings of a service: defaults, then a TOML file, then `LAZYENGINE_…` variables, then the command line.

Each field of `Settings` is one key of the file and, in capitals behind `LAZYENGINE_`, one environment variable.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lazyengine.errors import SettingsInvalid
from lazyengine.targets import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    :param database_url: an SQLAlchemy URL
    :param host: address to listen on
    :param port: TCP port to listen on; 0 lets the system choose
    :param workers: gunicorn worker processes
    :param threads: threads in each worker process
    :param auth_tokens: "owner:token" pairs, separated by blanks; none turns authentication off
    :param allow_unauthenticated: listen on a non-loopback address without tokens
    :param flows: TaskFlow flows, each `name=package.module:factory`, separated by commas, beside those of entry points
    :param outbound_allow: networks (CIDR) that webhooks and std.http may call although they are not public, by blanks
    :param api_only: serve the API without a dispatcher and a worker beside it
    :param public_url: where callers reach the service, as callback URLs say it; empty is http:// with host and port
    :param signing_keys: keys for callback URLs, separated by blanks: the first signs, all are good for reading; none
        uses one that is made once and kept in the database
    :param callback_seconds: how long a callback URL holds, at least
    :param default_action: action of a task that names none; empty leaves it to be completed from outside
    :param max_body_bytes: a larger request body is refused
    :param max_tasks: a workflow with more tasks is refused
    :param steps_per_transaction: how many pure actions and dead tasks one transaction works off
    :param max_iterations: a task that would run more often fails its execution: its loop never ends
    :param busy_timeout_seconds: how long one request may wait for the database
    :param expression_timeout_seconds: what the expressions of one decision may take, before they fail
    :param expression_memory_bytes: memory that an expression may take
    :param expression_result_bytes: size of the JSON that the expressions of one value may give
    :param expression_processes: evaluators that each worker keeps ready; more are started while these are busy
    :param targets: where the tasks of which targets are pushed to (`lazyengine.targets`); in the environment, as JSON
    :param webhook_secrets: what pushed tasks and notifications are signed with (Standard Webhooks, `whsec_…`), the
        newest first, separated by blanks; none sends them unsigned
    :param notification_seconds: for how long a notification is tried before it is a dead letter
    :param retention_seconds: how long the dispatcher keeps executions after their end; 0 keeps them for ever
    :param log_level: debug, info, warning or error
    """

    database_url: str = "sqlite:///lazyengine.db"
    host: str = "127.0.0.1"
    port: int = 8989
    workers: int = 1
    threads: int = 8
    auth_tokens: str = ""
    allow_unauthenticated: bool = False
    flows: str = ""
    outbound_allow: str = ""
    api_only: bool = False
    public_url: str = ""
    signing_keys: str = ""
    callback_seconds: float = 30 * 86_400.0
    default_action: str = ""
    max_body_bytes: int = 8 * 1024 * 1024
    max_tasks: int = 100_000
    steps_per_transaction: int = 1_000
    max_iterations: int = 10_000
    busy_timeout_seconds: float = 20.0
    expression_timeout_seconds: float = 2.0
    expression_memory_bytes: int = 256 * 1024 * 1024
    expression_result_bytes: int = 8 * 1024 * 1024
    expression_processes: int = 2
    targets: Targets = field(default_factory=Targets)
    webhook_secrets: str = ""
    notification_seconds: float = 86_400.0
    retention_seconds: float = 0.0
    log_level: str = "info"


PREFIX = "LAZYENGINE_"
TRUTHS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def load(overrides: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Gather the settings; `overrides` (the command line) win, entries that are None do not count.

    :raises SettingsInvalid: an unknown key, or a value of the wrong type
    """
    path = overrides.get("config") or environ.get(PREFIX + "CONFIG")
    values = _read_file(Path(path)) if path else {}
    known = {field.name for field in fields(Settings)}
    values |= {name: environ[PREFIX + name.upper()] for name in known if PREFIX + name.upper() in environ}
    values |= {name: value for name, value in overrides.items() if value is not None and name != "config"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise SettingsInvalid(reason=f"unknown setting '{unknown[0]}'; known are {', '.join(sorted(known))}")
    return Settings(
        **{field.name: _typed(field, values[field.name]) for field in fields(Settings) if field.name in values}
    )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(reason=f"cannot read the settings file '{path}': {error}") from error


def _typed(field: Any, value: Any) -> Any:
    kind = field.type
    try:
        if kind is bool and not isinstance(value, bool):
            return TRUTHS[str(value).lower()]
        return kind(value)
    except (KeyError, ValueError, TypeError):
        raise SettingsInvalid(
            reason=f"setting '{field.name}' has to be of type {kind.__name__}, not {value!r}"
        ) from None
