"""The root controller: where Pecan asks which operation a path and a method mean."""

from collections.abc import Iterable
from typing import Any

import pecan
from webob import Response

from lazyengine.api.operation import operations_of
from lazyengine.api.reading import shown
from lazyengine.api.request import Request
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

    def find(self, path: str) -> tuple[dict[str, Any], list[str]]:
        """Find the methods of a path, and its variable segments; a literal segment goes before a variable one.

        :raises ResourceNotFound: no operation has such a path (one with a slash at its end is another path)
        """
        node, variables = self._tree, []
        for segment in path.split("/")[1:] if path != "/" else ():
            if segment and segment != VARIABLE and segment in node:
                node = node[segment]
            elif segment and VARIABLE in node:
                node = node[VARIABLE]
                variables.append(segment)
            else:
                raise ResourceNotFound(path=shown(path))
        if self.METHODS not in node:
            raise ResourceNotFound(path=shown(path))
        return node[self.METHODS], variables


class Root:
    """The root of Pecan's object dispatch, which ends here: the operations declare their paths themselves."""

    def __init__(self, controllers: Iterable[Any]) -> None:
        self.routes = Routes(controllers)

    @pecan.expose()  # type: ignore[untyped-decorator]
    def _route(self, _segments: list[str], request: Request) -> tuple[Any, list[str]]:
        methods, variables = self.routes.find(request.path_info)
        if request.method in methods:
            return methods[request.method], variables
        allow = ", ".join(sorted({*methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            return self.options, [allow]
        raise MethodNotAllowed(method=shown(request.method), allow=allow)

    @pecan.expose(content_type="application/json")  # type: ignore[untyped-decorator]
    def options(self, request: Request, response: Response, allow: str) -> Response:
        """Tell the methods that a path answers."""
        return Response(status=204, headerlist=[("Allow", allow)], app_iter=[])
