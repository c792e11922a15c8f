"""Directives that write the reference from what the code serves, so that it cannot drift.

``openapi-operations`` and ``openapi-schemas`` render openapi.yaml, ``error-codes`` lists `lazyengine.errors`, and
``state-table`` the transitions of `lazyengine.core.state`.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lazyengine import errors
from lazyengine.core import state

METHODS = ("get", "post", "put", "delete")


class Generated(SphinxDirective):
    """A directive whose content is written by `lines`."""

    def run(self) -> list[nodes.Node]:
        holder = nodes.section()
        holder.document = self.state.document
        self.state.nested_parse(StringList(list(self.lines()), source="generated"), 0, holder, match_titles=1)
        return holder.children

    def lines(self) -> Iterator[str]:
        raise NotImplementedError

    def document(self) -> dict[str, Any]:
        path = Path(self.env.srcdir) / "openapi.yaml"
        self.env.note_dependency(str(path))
        return read(path)


class Operations(Generated):
    def lines(self) -> Iterator[str]:
        for path, item in self.document()["paths"].items():
            for method in METHODS:
                if method in item:
                    yield from self.operation(method.upper(), path, item[method], item.get("parameters", []))

    def operation(self, method: str, path: str, operation: dict[str, Any], shared: list[Any]) -> Iterator[str]:
        yield from title(operation["summary"], "~")
        yield from (f"``{method} {path}``", "", operation.get("description", "").strip().replace("`", "``"), "")
        parameters = [resolve(self.document(), parameter) for parameter in shared + operation.get("parameters", [])]
        if parameters:
            rows = [
                (f"``{p['name']}``", p["in"], type_of(p["schema"]), p.get("description", "").replace("`", "``"))
                for p in parameters
            ]
            yield from table(("Parameter", "In", "Type", ""), rows)
        if "requestBody" in operation:
            yield from (f"Body: {type_of(body_of(operation['requestBody']))}", "")
        rows = []
        for status, answer in operation["responses"].items():
            answer = resolve(self.document(), answer)
            schema = body_of(answer)
            rows.append((status, type_of(schema) if schema else "", answer["description"].replace("`", "``")))
        yield from table(("Status", "Body", ""), rows)


class Schemas(Generated):
    def lines(self) -> Iterator[str]:
        for name, schema in self.document()["components"]["schemas"].items():
            yield from (f".. _schema-{name.lower()}:", "")
            yield from title(name, "~")
            yield from (schema.get("description", ""), "")
            required = schema.get("required", [])
            rows = [
                (
                    f"``{key}``",
                    type_of(value),
                    "always" if key in required else "optional",
                    value.get("description", ""),
                )
                for key, value in schema.get("properties", {}).items()
            ]
            if rows:
                yield from table(("Member", "Type", "", ""), rows)
            else:
                yield from (type_of(schema), "")


class ErrorCodes(Generated):
    def lines(self) -> Iterator[str]:
        found = {error.code: error for error in subclasses(errors.LazyEngineError)} | {
            errors.LazyEngineError.code: errors.LazyEngineError
        }
        rows = [(str(e.status), f"``{code}``", literal(e.__doc__ or "")) for code, e in found.items()]
        yield from table(("Status", "Code", "Detail"), sorted(rows))


class StateTable(Generated):
    required_arguments = 1

    def lines(self) -> Iterator[str]:
        transitions = getattr(state, f"{self.arguments[0].upper()}_TRANSITIONS")
        rows = [(f"``{before}``", f"*{event}*", f"``{after}``") for (before, event), after in transitions.items()]
        yield from table(("From", "Event", "To"), rows)


@cache
def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def subclasses(of: type) -> Iterator[Any]:
    for child in of.__subclasses__():
        yield child
        yield from subclasses(child)


def resolve(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def body_of(holder: dict[str, Any]) -> dict[str, Any] | None:
    for media in holder.get("content", {}).values():
        schema: dict[str, Any] = media["schema"]
        return schema
    return None


def type_of(schema: Any) -> str:
    """Say in a few words what a schema admits."""
    if not schema:
        return "any JSON"
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f":ref:`{name} <schema-{name.lower()}>`"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(type_of(one) for one in schema[several])
    if "enum" in schema:
        return ", ".join(f"``{value}``" for value in schema["enum"])
    kinds = schema.get("type", "any JSON")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = [f"list of {type_of(schema.get('items'))}" if kind == "array" else kind for kind in kinds]
    return " or ".join(words) + (f" ({schema['format']})" if "format" in schema else "")


def literal(text: str) -> str:
    return text.replace("{", "<").replace("}", ">").replace("*", "\\*")


def title(text: str, line: str) -> Iterator[str]:
    yield from ("", text, line * len(text), "")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", "")
    for row in (head, *rows):
        for index, cell in enumerate(row):
            words = " ".join(cell.split()).replace("`` ``", "``, ``")
            yield ("   * - " if index == 0 else "     - ") + words
    yield ""


def setup(app: Sphinx) -> dict[str, Any]:
    for name, directive in (
        ("openapi-operations", Operations),
        ("openapi-schemas", Schemas),
        ("error-codes", ErrorCodes),
        ("state-table", StateTable),
    ):
        app.add_directive(name, directive)
    return {"parallel_read_safe": True}
