"""A client that holds every answer against the OpenAPI document, and what it starts."""

from typing import Any

from jsonschema import Draft202012Validator
from webtest import TestApp

from lazyengine.api.app import document, operations


class CheckedApp(TestApp):
    """A client that accepts no answer which the OpenAPI document does not describe."""

    def do_request(self, req: Any, status: Any = None, expect_errors: Any = None) -> Any:
        answer = super().do_request(req, status=status, expect_errors=expect_errors)
        check(req.method, req.path_info, answer)
        return answer


def check(method: str, path: str, answer: Any) -> None:
    described = described_by(method, path)
    if described is None:
        assert answer.status_int in (204, 404, 405), "no such operation, and no such answer"
        return
    response = described["responses"][str(answer.status_int)]
    content = response.get("content")
    if content is None:
        assert answer.body == b""
        return
    media_type = answer.headers["Content-Type"].removesuffix("; charset=utf-8")
    schema = content[media_type]["schema"]
    if schema == {"type": "string"}:
        assert answer.headers["Content-Type"].endswith("; charset=utf-8")
        return
    assert media_type == answer.headers["Content-Type"]
    Draft202012Validator({**schema, "components": document()["components"]}).validate(answer.json)
    if answer.status_int >= 400:
        assert answer.json["code"] in response["x-error-codes"]


def described_by(method: str, path: str) -> Any:
    segments = path.split("/")
    for operation in operations():
        template = operation.path.split("/")
        fits = len(template) == len(segments) and all(
            t == s or t.startswith("{") for t, s in zip(template, segments, strict=True)
        )
        if fits and method == operation.method:
            return document()["paths"][operation.path][method.lower()]
    return None


DIAMOND = """
version: '2.0'
diamond:
  input:
    - who: world
  tasks:
    split:
      on-success: [left, right]
    left:
      on-success: merge
    right:
      on-success: merge
    merge:
      join: all
"""
