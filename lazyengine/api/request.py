"""A request as the controllers see it: who calls, and the body, read once and strictly."""

from typing import Any, NoReturn

import pecan
from webob.request import BaseRequest

from lazyengine.api.reading import read_object
from lazyengine.errors import NotAcceptable, RequestInvalid, ResourceNotFound, UnsupportedMediaType

JSON = "application/json"
OWNER = "lazyengine.owner"
REQUEST_ID = "lazyengine.request_id"
ROUTE = "lazyengine.route"
"""The path of the operation that serves a request, with its variables in braces."""

CALLBACKS = "/callbacks/"
"""Where paths are secrets."""


def redacted(path: str) -> str:
    """Return a path as it may be written down."""
    return CALLBACKS + "..." if path.startswith(CALLBACKS) else path


class Request(pecan.Request):  # type: ignore[misc]
    """A WSGI request; what it means is decided by `lazyengine.api.reading` alone.

    Attributes are looked up without the detour of Pecan's own request, and what Pecan hangs on a request is declared,
    or WebOb would keep it in the environ: 25 microseconds of CPU less for a PUT.
    """

    context = pecan = None
    __getattribute__ = BaseRequest.__getattribute__

    @property
    def path_info(self) -> str:
        """The path, percent-decoded.

        :raises ResourceNotFound: it is not UTF-8, so it cannot be the path of anything
        """
        try:
            return self.environ["PATH_INFO"].encode("latin-1").decode()  # type: ignore[no-any-return]
        except UnicodeDecodeError:
            _not_found()

    @property
    def owner(self) -> str:
        return self.environ[OWNER]  # type: ignore[no-any-return]

    @property
    def query(self) -> str:
        return self.environ.get("QUERY_STRING", "")  # type: ignore[no-any-return]

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context of the request, or None where it has none that is well-formed."""
        return parse_traceparent(self.environ.get("HTTP_TRACEPARENT", ""))

    @property
    def document(self) -> dict[str, Any]:
        """The parsed body, read at the first look.

        Not a `cached_property`: that of Python 3.11 has one lock for all requests, so that everybody would wait for
        whoever sends slowly.

        :raises UnsupportedMediaType: it is not declared as JSON
        :raises RequestInvalid: it is no JSON object; see `read_object`
        """
        if "_document" not in self.__dict__:
            self.__dict__["_document"] = self._read_document()
        return self.__dict__["_document"]  # type: ignore[no-any-return]

    def _read_document(self) -> dict[str, Any]:
        declared = self.environ.get("CONTENT_TYPE", "")
        if declared != JSON and not _is_json(declared):
            raise UnsupportedMediaType()
        return read_object(self.environ["wsgi.input"].read())

    def refuse_body(self) -> None:
        """:raises RequestInvalid: there is a body where none has a meaning"""
        if self.environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in self.environ:
            raise RequestInvalid(reason="This operation takes no body; send the request without one.")

    def asks_for(self, media_type: str) -> bool:
        """Tell whether the `Accept` header names a type, not just a range that it falls in."""
        accept = self.environ.get("HTTP_ACCEPT", "")
        named = {entry.partition(";")[0].strip().lower() for entry in accept.split(",")}
        return media_type in named and _admits(accept, media_type)

    def check_accept(self, media_type: str) -> None:
        """:raises NotAcceptable: the `Accept` header leaves out what the answer would be"""
        accept = self.environ.get("HTTP_ACCEPT", "*/*")
        if accept != "*/*" and accept != media_type and not _admits(accept, media_type.partition(";")[0]):
            raise NotAcceptable(media_type=media_type)


def _not_found() -> NoReturn:
    raise ResourceNotFound(path="this path, which is not percent-encoded UTF-8")


def _is_json(content_type: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {part[8:].strip('"') for part in parameters if part.startswith("charset=")}
    return media_type == JSON and charsets <= {"utf-8"}


def _admits(accept: str, media_type: str) -> bool:
    """Tell whether an `Accept` header admits a type: the most specific range that fits decides (RFC 9110, 12.5.1)."""
    quality = {}
    for entry in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
        quality[media_range] = weight.strip("0.") != ""
    ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    fitting = [quality[one] for one in ranges if one in quality]
    return fitting[0] if fitting else not accept.strip()


def parse_traceparent(header: str) -> str | None:
    """Check a `traceparent` (W3C Trace Context, 3.2) and cut what a later version of it may have behind.

    :returns: None for one that is malformed, which is to be taken as if there were none
    """
    known, rest = header.strip()[:55], header.strip()[55:]
    parts = known.split("-")
    if [len(part) for part in parts] != [2, 32, 16, 2] or set(known) - set("0123456789abcdef-"):
        return None
    version, trace, parent, _ = parts
    if version == "ff" or not trace.strip("0") or not parent.strip("0"):
        return None
    if rest and (version == "00" or not rest.startswith("-")):
        return None
    return known
