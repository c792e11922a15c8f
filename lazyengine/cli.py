"""The command line: `lazyengine serve` and `lazyengine db upgrade|current`."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from gunicorn.app.wsgiapp import WSGIApplication

from lazyengine.db.database import Database
from lazyengine.errors import LazyEngineError
from lazyengine.settings import PREFIX, Settings, load

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

    serve = commands.add_parser("serve", help="serve the REST API")
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
    serve.set_defaults(run=_serve)

    db = commands.add_parser("db", help="the database schema").add_subparsers(required=True, metavar="command")
    for name, text, run in (
        ("upgrade", "create the tables, or bring them to the newest revision", _upgrade),
        ("current", "print the revision of the schema", _current),
    ):
        command = db.add_parser(name, help=text)
        _add_common(command, defaults)
        command.set_defaults(run=run)
    return parser


def _add_common(parser: argparse.ArgumentParser, defaults: Settings) -> None:
    parser.add_argument("--database-url", help=f"SQLAlchemy URL of the database (default: {defaults.database_url})")
    parser.add_argument("--config", help="a TOML file with settings")


def _settings(options: argparse.Namespace) -> Settings:
    names = {field.name for field in dataclasses.fields(Settings)} | {"config"}
    return load({name: value for name, value in vars(options).items() if name in names})


def _serve(options: argparse.Namespace) -> int:
    """Hand the settings to gunicorn's processes through the environment, where every worker reads them again."""
    settings = _settings(options)
    for field in dataclasses.fields(Settings):
        os.environ[PREFIX + field.name.upper()] = str(getattr(settings, field.name))
    sys.argv = ["lazyengine serve", "--config", "python:lazyengine.serving", "lazyengine.wsgi:application"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="lazyengine serve").run()
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    Database(_settings(options)).upgrade()
    return _current(options)


def _current(options: argparse.Namespace) -> int:
    print(Database(_settings(options)).current_revision() or "no schema yet")
    return 0
