"""What an operation is: its declaration, and the one way in which every operation is served.

The declaration is what the api-ref says, what the router looks up and what a request is held to; there is no second
place for any of it.  The types hang on WSME's `FunctionDefinition`, as `wsme.signature` makes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pecan
from webob import Response
from webob.util import status_reasons
from wsme.api import FunctionArgument, FunctionDefinition

from lazyengine.api.reading import read_document, read_query, shown
from lazyengine.api.request import JSON, ROUTE, Request
from lazyengine.api.types import Misfit
from lazyengine.api.writing import encode, writer
from lazyengine.errors import LazyEngineError

NO_CONTENT = 204
STATUS_LINES = {status: f"{status} {status_reasons[status]}" for status in (200, 201, 202)}

Answerer = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application that gives one answer."""

ErrorClasses = tuple[type[LazyEngineError], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter.

    :param repeated: may be given several times, or several values at once, parted by commas
    """

    name: str
    datatype: Any
    doc: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A variable segment of a path.

    :param absent: what to raise for one that can be the name of nothing, from all the variable segments by name
    """

    name: str
    datatype: Any
    doc: str
    absent: Callable[[dict[str, str]], LazyEngineError]


@dataclass(frozen=True, slots=True)
class Answer:
    """A record to be shown, where it is not the first of the operation's statuses or needs headers."""

    record: Any
    status: int
    headers: tuple[tuple[str, str], ...] = ()


class JsonResponse:
    """A response with nothing but a body, for which WebOb's has too much to offer.

    Measured: 16 thousand instructions less.
    """

    def __init__(self, status: int, body: bytes) -> None:
        self._status, self._body = status, body

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        headers = [("Content-Type", JSON), ("Content-Length", str(len(self._body)))]
        start_response(STATUS_LINES[self._status], headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self._body]


@dataclass(frozen=True, slots=True)
class Operation:
    """The declaration of an operation; see `operation` for the fields."""

    id: str
    method: str
    path: str
    doc: str
    segments: tuple[Segment, ...]
    parameters: dict[str, Parameter]
    body: Any
    answer: Any
    statuses: dict[int, str]
    errors: ErrorClasses
    open: bool
    texts: Mapping[str, str]
    negotiated: bool

    @property
    def media_type(self) -> str:
        """Of the answer, unless the request asks for one of `texts`."""
        return self.answer if isinstance(self.answer, str) else JSON

    def serve(self, verb: Callable[..., Any], controller: Any, request: Request, segments: Sequence[str]) -> Answerer:
        """Read the request, call the verb, write the answer.

        :raises LazyEngineError: whatever is wrong; `lazyengine.api.problems` tells the caller
        """
        request.environ[ROUTE] = self.path
        arguments = self._read_path(segments) if segments else {}
        if request.query:
            arguments |= read_query(request.query, self.parameters)
        if self.negotiated and "format" not in arguments:
            asked = [name for name, media_type in self.texts.items() if request.asks_for(media_type)]
            arguments |= {"format": asked[0]} if asked else {}
        media_type = self.texts.get(arguments.get("format", ""), self.media_type)
        request.check_accept(media_type)
        if self.body is None:
            request.refuse_body()
        else:
            arguments["body"] = read_document(self.body, request.document)
        return self._answer(verb(controller, request, **arguments), media_type)

    def _read_path(self, texts: Sequence[str]) -> dict[str, Any]:
        arguments = {}
        for segment, text in zip(self.segments, texts, strict=True):
            try:
                arguments[segment.name] = segment.datatype.fromtext(text)
            except Misfit:
                names = (one.name for one in self.segments)
                raise segment.absent({name: shown(text) for name, text in zip(names, texts, strict=True)}) from None
        return arguments

    def _answer(self, result: Any, media_type: str) -> Answerer:
        if media_type == JSON and not isinstance(result, Answer) and self.answer is not None:
            return JsonResponse(next(iter(self.statuses)), encode(writer(self.answer)(result)).encode())
        answer = result if isinstance(result, Answer) else Answer(result, next(iter(self.statuses)))
        if self.answer is None or answer.status == NO_CONTENT:
            return _webob(answer.status, [], [])
        if media_type == JSON:
            body, content_type = encode(writer(self.answer)(answer.record)).encode(), JSON
        elif isinstance(answer.record, str):
            body, content_type = answer.record.encode(), f"{media_type}; charset=utf-8"
        else:
            headers = [("Content-Type", f"{media_type}; charset=utf-8"), *answer.headers]
            return _webob(answer.status, headers, answer.record)
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), *answer.headers]
        return _webob(answer.status, headers, [body])


def _webob(status: int, headers: list[tuple[str, str]], pieces: Iterable[bytes]) -> Answerer:
    response: Answerer = Response(status=status, headerlist=headers, app_iter=pieces)
    return response


def operation(
    method: str,
    path: str,
    answer: Any,
    *,
    segments: tuple[Segment, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    body: Any = None,
    statuses: dict[int, str] | None = None,
    errors: ErrorClasses = (),
    open: bool = False,
    texts: Mapping[str, str] | None = None,
    negotiated: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Answerer]]:
    """Make a method of a controller an operation of the API; its name is the operationId, its docstring the summary.

    The method is called with the `Request`, the segments and parameters by name (as their types read them; a parameter
    that is absent is left to the method's default) and, where there is one, the document `body`.  It returns a record
    that `answer` can show, or an `Answer`.

    :param path: with its variable segments in braces, in the order of `segments`
    :param answer: a `Document`, the media type of a text, or None for no content
    :param body: a `Document` or `OneOf`
    :param statuses: of success, each with what it means; the first is that of a plain record
    :param errors: what the verb may raise, beside what any request may meet
    :param open: needs no authentication
    :param texts: formats that the parameter `format` may ask for in the place of JSON, and their media types; the
        method returns a string then, or an iterator of bytes
    :param negotiated: an `Accept` that names the type of one of `texts` asks for it too, where `format` is left out
    """

    def declare(verb: Callable[..., Any]) -> Callable[..., Answerer]:
        declared = Operation(
            id=verb.__name__,
            method=method,
            path=path,
            doc=verb.__doc__ or "",
            segments=segments,
            parameters={parameter.name: parameter for parameter in parameters},
            body=body,
            answer=answer,
            statuses=statuses or {200: "Done."},
            errors=errors,
            open=open,
            texts=texts or {},
            negotiated=negotiated,
        )
        define(verb, declared)

        def exposed(self: Any, request: Request, response: None, *texts: str) -> Answerer:
            return declared.serve(verb, self, request, texts)

        exposed.operation = declared  # type: ignore[attr-defined]
        return pecan.expose(content_type="application/json")(exposed)  # type: ignore[no-any-return]

    return declare


def define(verb: Callable[..., Any], declared: Operation) -> None:
    """Hang WSME's description of a function on `verb`, for tools that read it (`wsmeext.sphinxext`).

    `wsme.signature` would read it off the order of the positional arguments, and take the body for the last of them.
    """
    definition = FunctionDefinition.get(verb)
    definition.return_type = declared.answer
    definition.set_options(body=declared.body, status_code=next(iter(declared.statuses)), rest_content_types=("json",))
    definition.pass_request = "request"  # noqa: S105  (the name of an argument)
    definition.arguments = [FunctionArgument(one.name, one.datatype, True, None) for one in declared.segments]
    definition.arguments += [
        FunctionArgument(one.name, [one.datatype] if one.repeated else one.datatype, False, None)
        for one in declared.parameters.values()
    ]


def operations_of(controller: Any) -> list[tuple[Operation, Any]]:
    """List the operations that a controller (or its class) has, in the order in which they are declared."""
    kind = controller if isinstance(controller, type) else type(controller)
    return [(f.operation, getattr(controller, name)) for name, f in vars(kind).items() if hasattr(f, "operation")]
