"""The root controller: where Pecan asks which operation a path and a method mean."""

from collections.abc import Iterable
from typing import Any

import pecan
from webob import Response

from lazyengine.api.operation import operations_of
from lazyengine.api.reading import shown
from lazyengine.api.request import Request, redacted
from lazyengine.errors import MethodNotAllowed, ResourceNotFound

VARIABLE = "{}"
"""Stands for any one segment in the tree of paths; no literal segment has braces."""


class Routes:
    """Every path of the API as a tree: node[segment] is the next node, node[METHODS] are the methods it answers."""

    METHODS = ""
    """Key of a node's methods: a segment that is empty leads nowhere."""

    def __init__(self, controllers: Iterable[Any]) -> None:
        self._tree: dict[str, Any] = {}
        for controller in controllers:
            for operation, exposed in operations_of(controller):
                self._add(operation.path, operation.method, exposed)

    def _add(self, path: str, method: str, exposed: Any) -> None:
        node = self._tree
        for segment in path.split("/")[1:]:
            if segment:
                node = node.setdefault(VARIABLE if segment.startswith("{") else segment, {})
        methods = node.setdefault(self.METHODS, {})
        methods[method] = exposed
        if method == "GET":
            methods["HEAD"] = exposed

    def find(self, path: str) -> dict[str, tuple[Any, list[str]]]:
        """Find what answers at a path: by method, the operation and the variable segments.

        A literal segment goes before a variable one, method by method: POST /workflows/validate checks a definition,
        GET /workflows/validate shows the workflow of that name.

        :raises ResourceNotFound: no operation has such a path (one with a slash at its end is another path)
        """
        places: list[tuple[dict[str, Any], list[str]]] = [(self._tree, [])]
        for segment in path.split("/")[1:] if path != "/" else ():
            literal, variable = [], []
            for node, known in places if segment else ():
                if segment in node and segment != VARIABLE:
                    literal.append((node[segment], known))
                if VARIABLE in node:
                    variable.append((node[VARIABLE], [*known, segment]))
            places = literal + variable
        found: dict[str, tuple[Any, list[str]]] = {}
        for node, variables in reversed(places):
            for method, exposed in node.get(self.METHODS, {}).items():
                found[method] = exposed, variables
        if not found:
            raise ResourceNotFound(path=shown(redacted(path)))
        return found


class Root:
    """The root of Pecan's object dispatch, which ends here: the operations declare their paths themselves."""

    def __init__(self, controllers: Iterable[Any]) -> None:
        self.routes = Routes(controllers)

    @pecan.expose()  # type: ignore[untyped-decorator]
    def _route(self, _segments: list[str], request: Request) -> tuple[Any, list[str]]:
        found = self.routes.find(request.path_info)
        if request.method in found:
            return found[request.method]
        allow = ", ".join(sorted({*found, "OPTIONS"}))
        if request.method == "OPTIONS":
            return self.options, [allow]
        raise MethodNotAllowed(method=shown(request.method), allow=allow)

    @pecan.expose(content_type="application/json")  # type: ignore[untyped-decorator]
    def options(self, request: Request, response: Response, allow: str) -> Response:
        """Tell the methods that a path answers."""
        return Response(status=204, headerlist=[("Allow", allow)], app_iter=[])
