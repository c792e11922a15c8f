"""The command line: `lazyengine serve`, `dispatch`, `work` and `db upgrade|current|purge`."""

import argparse
import dataclasses
import logging
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.metadata import version
from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication

from lazyengine import actions
from lazyengine.actions import Handler
from lazyengine.api.wire import assignment_writer, read_report
from lazyengine.api.writing import encode
from lazyengine.auth import Authenticator
from lazyengine.callbacks import Callbacks
from lazyengine.db.database import Database
from lazyengine.dispatch.retention import purge
from lazyengine.dispatch.service import Dispatcher, dispatch
from lazyengine.dispatch.wire import Wire
from lazyengine.engine import Engine
from lazyengine.errors import LazyEngineError, SettingsInvalid
from lazyengine.outbound import Outbound
from lazyengine.registry import registered_flows
from lazyengine.settings import PREFIX, Settings, load
from lazyengine.supervisor import Supervisor
from lazyengine.worker import Api, Terms, Worker, work

DURATIONS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

SERVE_OPTIONS = {
    "host": "address to listen on",
    "port": "port to listen on; 0 lets the system choose",
    "workers": "worker processes",
    "threads": "threads in each worker process",
    "log_level": "debug, info, warning or error",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except LazyEngineError as error:
        print(f"lazyengine: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lazyengine", description="A passive, persistent workflow engine")
    parser.add_argument("--version", action="version", version=f"lazyengine {version('lazyengine')}")
    commands = parser.add_subparsers(required=True, metavar="command")
    defaults = Settings()

    serve = commands.add_parser("serve", help="serve the REST API, with a dispatcher and a worker beside it")
    _add_common(serve, defaults)
    for name, text in SERVE_OPTIONS.items():
        default = getattr(defaults, name)
        serve.add_argument(f"--{name.replace('_', '-')}", help=f"{text} (default: {default!r})")
    serve.add_argument(
        "--allow-unauthenticated",
        action="store_const",
        const=True,
        help="listen on an address that others can reach, without tokens",
    )
    serve.add_argument("--api-only", action="store_const", const=True, help="without a dispatcher and a worker")
    serve.set_defaults(run=_serve)

    dispatching = commands.add_parser("dispatch", help="send tasks and notifications out, and do what is due")
    _add_common(dispatching, defaults)
    dispatching.add_argument("--log-level", help=f"{SERVE_OPTIONS['log_level']} (default: {defaults.log_level!r})")
    dispatching.set_defaults(run=_dispatch)

    _add_work(commands.add_parser("work", help="claim tasks from an API and run their actions"))

    db = commands.add_parser("db", help="the database schema").add_subparsers(required=True, metavar="command")
    for name, text, run in (
        ("upgrade", "create the tables, or bring them to the newest revision", _upgrade),
        ("current", "print the revision of the schema", _current),
    ):
        command = db.add_parser(name, help=text)
        _add_common(command, defaults)
        command.set_defaults(run=run)
    purging = db.add_parser("purge", help="delete executions some time after their end")
    _add_common(purging, defaults)
    purging.add_argument("--older-than", type=_duration, required=True, help="since their end, as in 30d, 12h or 90s")
    purging.add_argument("--limit", type=int, help="how many at most, without those below them (default: all)")
    purging.set_defaults(run=_purge)
    return parser


def _add_work(worker: argparse.ArgumentParser) -> None:
    terms = Terms()
    environ = os.environ.get
    for name, kind, default, text in (
        ("api", str, environ("LAZYENGINE_API", "http://127.0.0.1:8989"), "URL of the API; or LAZYENGINE_API"),
        ("concurrency", int, terms.concurrency, "tasks at a time, for each owner"),
        ("lease-seconds", float, terms.lease_seconds, "how long after its death its tasks go to others"),
        ("wait-seconds", float, terms.wait_seconds, "how long a claim waits for a first task"),
        ("grace-seconds", float, 60.0, "how long after SIGTERM what is under way may take"),
    ):
        worker.add_argument(f"--{name}", type=kind, default=default, help=f"{text} (default: {default!r})")
    worker.add_argument("--target", action="append", help="take tasks of this target (default: 'default'); repeatable")
    worker.add_argument("--action", action="append", help="run this action (default: all installed); repeatable")
    worker.add_argument("--amqp", help="consume the queues named by --target from this broker (a URL for kombu)")
    worker.add_argument("--token", action="append", help="bearer token of an owner; repeatable; or LAZYENGINE_TOKEN")
    worker.add_argument("--config", help="a TOML file with settings, of which outbound_allow and log_level count")
    worker.set_defaults(run=_work)


def _add_common(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    parser.add_argument("--database-url", help=f"SQLAlchemy URL of the database (default: {defaults.database_url})")
    parser.add_argument("--config", help="a TOML file with settings")


def _settings(options: argparse.Namespace) -> Settings:
    names = {field.name for field in dataclasses.fields(Settings)} | {"config"}
    return load({name: value for name, value in vars(options).items() if name in names})


def _serve(options: argparse.Namespace) -> int:
    """Hand the settings to other processes through the environment, where each of them reads them again."""
    settings = _settings(options)
    for field in dataclasses.fields(Settings):
        os.environ[PREFIX + field.name.upper()] = str(getattr(settings, field.name))
    if not settings.api_only:
        return Supervisor(Authenticator(settings).tokens()).run()
    sys.argv = ["lazyengine serve", "--config", "python:lazyengine.serving", "lazyengine.wsgi:application"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="lazyengine serve").run()
    return 0


def _dispatch(options: argparse.Namespace) -> int:
    settings = _settings(options)
    make_dispatcher(settings)  # a wrong setting ends it here
    dispatch(settings, make_dispatcher)
    return 0


def make_dispatcher(settings: Settings) -> Dispatcher:
    """Make a dispatcher that speaks of tasks as the API does."""
    engine = Engine(Database(settings), settings, flows=registered_flows(settings))
    wire = Wire(assignment_writer(Callbacks(settings, engine.signing_keys).url), encode, read_report)
    return Dispatcher(engine, settings, wire, Outbound(settings.outbound_allow.split()))


def _work(options: argparse.Namespace) -> int:
    """Start one worker for each token: owners do not wait for each other's tasks."""
    settings = load({"config": options.config})
    _write_log(settings)
    handlers, outbound = _handlers(options.action or (), settings), Outbound(settings.outbound_allow.split())
    terms = Terms(
        targets=tuple(options.target or Terms().targets),
        concurrency=options.concurrency,
        lease_seconds=options.lease_seconds,
        wait_seconds=options.wait_seconds,
    )
    tokens = options.token or os.environ.get("LAZYENGINE_TOKEN", "").split() or [None]
    apis = [Api(options.api, token, connections=terms.concurrency + 2) for token in tokens]
    if options.amqp and len(apis) > 1:
        raise SettingsInvalid(reason="--amqp takes one token: a queue does not say whose tasks it has")
    if options.amqp:
        workers: list[Worker] = [_queue_worker()(apis[0], handlers, outbound, terms, options.amqp)]
    else:
        workers = [Worker(api, handlers, outbound, terms) for api in apis]
    work(workers, options.grace_seconds)
    return 0


def _handlers(names: Sequence[str], settings: Settings) -> dict[str, Handler]:
    """Return what does the work of these actions and flows, or of all that are installed."""
    flows: Any = registered_flows(settings) or ()
    others = [name for name in names if name not in flows]
    handlers = actions.load(others) if others or not names else {}
    wanted = [name for name in flows if name in names or not names]
    if wanted:
        work_on = import_module("lazyengine.flow_worker").work  # TaskFlow, which it needs, is an extra
        handlers |= dict.fromkeys(wanted, lambda context: work_on(flows, context.assignment))
    return handlers


def _queue_worker() -> Any:
    """:raises SettingsInvalid: what it needs is not installed"""
    try:
        from lazyengine.worker.queue import QueueWorker
    except ImportError as error:
        raise SettingsInvalid(reason=f"--amqp needs {error.name}: pip install 'lazyengine[amqp]'") from error
    return QueueWorker


def _write_log(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")


def _upgrade(options: argparse.Namespace) -> int:
    Database(_settings(options)).upgrade()
    return _current(options)


def _purge(options: argparse.Namespace) -> int:
    database = Database(_settings(options))
    count = sum(purge(database, datetime.now(UTC) - options.older_than, options.limit))
    database.dispose()
    print(f"{count} executions deleted")
    return 0


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration such as 30d, 12h, 15m or 90s")
    return timedelta(**{DURATIONS[found[2]]: int(found[1])})


def _current(options: argparse.Namespace) -> int:
    print(Database(_settings(options)).current_revision() or "no schema yet")
    return 0
