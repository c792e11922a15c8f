"""The OpenAPI 3.1 document, made of the operations, their types and the error classes that serve the requests.

`api-ref/openapi.yaml` is its text; after a change of the API write it anew with `python -m lazyengine.api.openapi`.
"""

import json
from collections.abc import Iterable
from typing import Any

import wsme.types
import yaml

from lazyengine import errors
from lazyengine.api import VERSION, answers
from lazyengine.api.document import Document, OneOf, member
from lazyengine.api.operation import NO_CONTENT, Operation
from lazyengine.api.problems import phrase
from lazyengine.api.request import JSON
from lazyengine.api.types import JSON_OBJECT, TextOrObject
from lazyengine.errors import LazyEngineError

Schema = dict[str, Any]

NULL = {"type": "null"}
TITLE = "lazyengine"
SUMMARY = "A passive, persistent workflow engine behind a REST API."
EVERYWHERE = (errors.ResourceNotFound, errors.MethodNotAllowed)
"""What a request may meet that is for no operation at all."""

ANY_OPERATION = (errors.RequestInvalid, errors.NotAcceptable, LazyEngineError)
WITH_BODY = (errors.RequestTooLarge, errors.UnsupportedMediaType)
TAGS = {
    "workflows": "Stored definitions.",
    "executions": "Runs of a workflow.",
    "tasks": "The steps of an execution.",
    "claims": "How workers fetch tasks.",
    "service": "The service itself.",
}


def document(operations: Iterable[Operation]) -> Schema:
    """Make the document of `operations`."""
    operations = list(operations)
    schemas: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    _reference(answers.Problem, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "summary": SUMMARY,
            "description": _description(),
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": {
                "RequestId": {"description": "The id of the request, for its operator.", "schema": {"type": "string"}}
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "x-error-codes": _codes({error for one in operations for error in errors_of(one)} | set(EVERYWHERE)),
    }


def errors_of(operation: Operation) -> set[type[LazyEngineError]]:
    """Tell which errors an operation may answer: its own, and what any request to it may meet."""
    body = WITH_BODY if operation.body else ()
    authentication = () if operation.open else (errors.AuthenticationRequired,)
    return {*ANY_OPERATION, *body, *authentication, *operation.errors}


def _description() -> str:
    everywhere = ", ".join(f"`{error.code}` ({error.status})" for error in EVERYWHERE)
    return (
        "JSON in, JSON out, but for the pictures of a graph and the metrics. "
        "Unknown members and unknown query parameters are refused, never ignored. "
        "Every response has X-Openstack-Request-Id. "
        "Errors are application/problem+json with a stable `code`; x-error-codes lists them. "
        f"A path or a method that is none of these gives {everywhere}."
    )


def _codes(found: set[type[LazyEngineError]]) -> dict[str, Schema]:
    return {
        error.code: {"status": error.status, "detail": (error.__doc__ or "").strip()}
        for error in sorted(found, key=lambda error: error.code)
    }


# -- operations -------------------------------------------------------------------------------------------------------


def _operation(operation: Operation, schemas: dict[str, Schema]) -> Schema:
    summary, _, rest = operation.doc.partition("\n")
    described: Schema = {
        "operationId": operation.id,
        "tags": [_tag(operation)],
        "summary": summary.strip().rstrip("."),
    }
    if rest.strip():
        described["description"] = " ".join(rest.split())
    if operation.open:
        described["security"] = []
    parameters = [
        {
            "name": one.name,
            "in": "path",
            "required": True,
            "description": one.doc,
            "schema": _schema(one.datatype, schemas),
        }
        for one in operation.segments
    ]
    parameters += [_query_parameter(one, schemas) for one in operation.parameters.values()]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body, schemas)}}
        described["requestBody"] = {"required": True, "content": content}
    described["responses"] = _successes(operation, schemas) | _failures(operation)
    return described


def _tag(operation: Operation) -> str:
    if operation.path == "/metrics" or (operation.open and not operation.segments):
        return "service"
    if operation.path == "/tasks/claim":
        return "claims"
    if operation.path.startswith("/workflows"):
        return "workflows"
    return "tasks" if "/tasks" in operation.path or operation.open else "executions"


def _query_parameter(parameter: Any, schemas: dict[str, Schema]) -> Schema:
    schema = _schema(parameter.datatype, schemas)
    described: Schema = {"name": parameter.name, "in": "query", "required": False, "description": parameter.doc}
    if not parameter.repeated:
        return {**described, "schema": schema}
    described["description"] += " May be given several times, or as one list parted by commas."
    return {**described, "style": "form", "explode": True, "schema": {"type": "array", "items": schema}}


HEADERS = {"X-Openstack-Request-Id": {"$ref": "#/components/headers/RequestId"}}


def _successes(operation: Operation, schemas: dict[str, Schema]) -> Schema:
    responses: Schema = {}
    for status, meaning in operation.statuses.items():
        response: Schema = {"description": meaning, "headers": HEADERS}
        if operation.answer is not None and status != NO_CONTENT:
            response["content"] = _content(operation, schemas)
        if operation.method == "POST" and 201 in operation.statuses:
            location = {"description": "Where it is.", "schema": {"type": "string", "format": "uri-reference"}}
            response["headers"] = {**HEADERS, "Location": location}
        responses[str(status)] = response
    return responses


def _content(operation: Operation, schemas: dict[str, Schema]) -> Schema:
    text = {"schema": {"type": "string"}}
    if operation.media_type != JSON:
        return {operation.media_type: text}
    return {JSON: {"schema": _schema(operation.answer, schemas)}} | dict.fromkeys(operation.texts.values(), text)


def _failures(operation: Operation) -> Schema:
    responses: Schema = {}
    for error in sorted(errors_of(operation), key=lambda error: (error.status, error.code)):
        response = responses.setdefault(
            str(error.status),
            {
                "description": phrase(error.status) + ":",
                "headers": _error_headers(error.status),
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                "x-error-codes": [],
            },
        )
        response["description"] += f" `{error.code}`"
        response["x-error-codes"].append(error.code)
    return responses


def _error_headers(status: int) -> Schema:
    special = {
        401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}},
        503: {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    }
    return {**HEADERS, **special.get(status, {})}


# -- types ------------------------------------------------------------------------------------------------------------


def _schema(datatype: Any, schemas: dict[str, Schema]) -> Schema:
    if wsme.types.isarray(datatype):
        return {"type": "array", "items": _schema(datatype.item_type, schemas)}
    if wsme.types.iscomplex(datatype) or isinstance(datatype, OneOf):
        return _reference(datatype, schemas)
    schema: Schema = datatype.schema()
    if isinstance(datatype, TextOrObject):
        return {
            "anyOf": [_schema(JSON_OBJECT, schemas) if one == JSON_OBJECT.schema() else one for one in schema["anyOf"]]
        }
    if datatype.title is None:
        return schema
    schemas[datatype.title] = schema
    return {"$ref": f"#/components/schemas/{datatype.title}"}


def _reference(datatype: Any, schemas: dict[str, Schema]) -> Schema:
    name = datatype.name if isinstance(datatype, OneOf) else datatype.__name__
    if name not in schemas:
        schemas[name] = {}  # so that a type may hold itself
        schemas[name] = _variants(datatype, schemas) if isinstance(datatype, OneOf) else _members(datatype, schemas)
    return {"$ref": f"#/components/schemas/{name}"}


def _variants(datatype: OneOf, schemas: dict[str, Schema]) -> Schema:
    variants = {word: _reference(variant, schemas) for word, variant in datatype.variants.items()}
    mapping = {word: reference["$ref"] for word, reference in variants.items()}
    return {"oneOf": list(variants.values()), "discriminator": {"propertyName": datatype.by, "mapping": mapping}}


def _members(datatype: type[Document], schemas: dict[str, Schema]) -> Schema:
    members = datatype.members()
    schema: Schema = {
        "type": "object",
        "description": (datatype.__doc__ or "").strip(),
        "properties": {one.name: _member(one, schemas) for one in members},
        "required": [one.name for one in members if one.mandatory],
        "additionalProperties": False,
    }
    if not schema["required"]:
        del schema["required"]
    if datatype._one_of:  # in words only: generators of clients take an anyOf for the whole type
        schema["description"] += f" It has at least one of {', '.join(datatype._one_of)}."
    if datatype._at_least_one:
        schema["minProperties"] = 1
    return schema


def _member(one: member, schemas: dict[str, Schema]) -> Schema:
    schema = _schema(one.datatype, schemas)
    if one.max_items:
        schema["maxItems"] = one.max_items
    if one.nullable and "$ref" in schema:
        schema = {"anyOf": [schema, NULL]}
    elif one.nullable and "anyOf" in schema:
        schema = {**schema, "anyOf": [*schema["anyOf"], NULL]}
    elif one.nullable and "type" in schema:
        schema = {**schema, "type": [schema["type"], "null"]}
    said = [one.doc] if one.doc else []
    if one.default not in (wsme.types.Unset, None):
        # in words only: a generator of clients takes a member that has a default for one that is always there
        said.append(f"If left out: {json.dumps(one.default)}.")
    return {**schema, "description": " ".join(said)} if said else schema


def text(described: Schema) -> str:
    """Dump a document as the YAML that `api-ref/openapi.yaml` holds."""
    return yaml.dump(described, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice: readers of the file know no YAML anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
