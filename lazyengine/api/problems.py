"""The one formatter of errors: whatever is raised below it becomes a problem document."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from wsme.types import Unset

from lazyengine.api import answers
from lazyengine.api.request import REQUEST_ID
from lazyengine.api.writing import encode, writer
from lazyengine.errors import DefinitionInvalid, LazyEngineError

LOG = logging.getLogger("lazyengine.api")
MAX_FAULTS = 100
RETRY_AFTER_SECONDS = "1"

PHRASES = {413: "Content Too Large"}
"""Of RFC 9110, where older Pythons have an older one."""

_write = writer(answers.Problem)


def phrase(status: int) -> str:
    """Name a status."""
    return PHRASES.get(status) or HTTPStatus(status).phrase


@dataclass(frozen=True, slots=True)
class ProblemEntry:
    """One thing that is wrong; `path` is `Unset` where it has no place in a document."""

    status: int
    code: str
    title: str
    detail: str
    request_id: str
    path: Any = Unset


@dataclass(frozen=True, slots=True)
class Problem:
    """What a caller is told of an error."""

    status: int
    code: str
    title: str
    detail: str
    request_id: str
    errors: list[ProblemEntry]
    type: str = "about:blank"


def problem(error: LazyEngineError, request_id: str) -> Problem:
    """Tell a caller of `error`: one entry per fault of a definition (the first `MAX_FAULTS`), one for anything else."""
    title = phrase(error.status)
    if isinstance(error, DefinitionInvalid):
        found: list[tuple[str, Any]] = [(fault.message, fault.path) for fault in error.faults[:MAX_FAULTS]]
    else:
        found = [(str(error), error.facts.get("pointer", Unset))]
    entries = [ProblemEntry(error.status, error.code, title, text, request_id, path) for text, path in found]
    return Problem(error.status, error.code, title, str(error), request_id, entries)


class Problems:
    """WSGI middleware that answers every exception with a problem document, and shows no more than that of it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        except LazyEngineError as error:
            return _answer(error, environ, start_response)
        except Exception:
            LOG.exception("unexpected error in request %s", environ[REQUEST_ID])
            return _answer(LazyEngineError(), environ, start_response)


def _answer(error: LazyEngineError, environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = encode(_write(problem(error, environ[REQUEST_ID]))).encode()
    headers: list[tuple[str, str]] = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers.append(("WWW-Authenticate", 'Bearer realm="lazyengine"'))
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", str(error.facts["allow"])))
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", RETRY_AFTER_SECONDS))
    start_response(f"{error.status} {phrase(error.status)}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
