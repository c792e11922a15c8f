"""The OpenAPI document: that the file is the document, that its codes are the errors, and that its types are tight."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from lazyengine import errors
from lazyengine.api import openapi
from lazyengine.api.app import document, operations

FILE = Path(__file__).parents[3] / "api-ref" / "openapi.yaml"
NEVER_ANSWERED = {
    "settings.invalid",
    "outbound.refused",
    "outbound.failed",
    "outbound.too_large",
    "outbound.unanswered",
    "worker.refused",
}
"""Codes of errors that stop the service before it serves anybody, or are met by those who call others."""


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def schemas():
    return document()["components"]["schemas"]


def test_the_file_is_the_document():
    assert FILE.read_text() == openapi.text(document()), "run: python -m lazyengine.api api-ref/openapi.yaml"
    assert yaml.safe_load(FILE.read_text()) == document()


def test_the_codes_of_the_errors_are_those_of_the_document_both_ways():
    codes = {kind.code: kind.status for kind in subclasses(errors.LazyEngineError)}
    documented = document()["x-error-codes"]
    assert codes.keys() - NEVER_ANSWERED == documented.keys()
    assert all(codes[code] == entry["status"] for code, entry in documented.items())
    listed = {
        code
        for path in document()["paths"].values()
        for operation in path.values()
        for response in operation["responses"].values()
        for code in response.get("x-error-codes", ())
    }
    assert listed | {kind.code for kind in openapi.EVERYWHERE} == documented.keys()


def test_every_code_belongs_to_one_class():
    codes = [kind.code for kind in subclasses(errors.LazyEngineError)]
    assert len(codes) == len(set(codes))


def test_every_response_of_every_operation_has_a_named_schema():
    for operation in operations():
        described = document()["paths"][operation.path][operation.method.lower()]
        assert described["operationId"] == operation.id
        for status, response in described["responses"].items():
            if status == "204" or operation.id == "get_openapi":
                continue
            if status == "200" and operation.media_type != "application/json":
                assert response["content"] == {operation.media_type: {"schema": {"type": "string"}}}
                continue
            media, *texts = response["content"].values()
            assert media["schema"]["$ref"].startswith("#/components/schemas/")
            assert texts == [{"schema": {"type": "string"}}] * (len(operation.texts) if status == "200" else 0)
        if operation.body is not None:
            assert "$ref" in described["requestBody"]["content"]["application/json"]["schema"]


def test_every_schema_is_used_and_every_reference_leads_somewhere():
    text = openapi.text(document())
    for name, schema in schemas().items():
        Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}'" in text
    for line in text.splitlines():
        if "#/components/schemas/" in line:
            assert line.rstrip("'").rsplit("/", 1)[1] in schemas()


def test_answers_require_all_members_but_those_of_lists():
    requests = {
        "ExecutionStart",
        "ExecutionParams",
        "ExecutionChange",
        "Notify",
        "ReportedFailure",
        "TaskReports",
        "TaskRerun",
        "ClaimRequest",
        "WorkflowDefinition",
        "WorkflowCandidate",
    }
    requests |= {
        name for name in schemas() if name.startswith(("TaskSuccess", "TaskFailure", "TaskCancel", "TaskHeart"))
    }
    loose = {
        name: set(schema["properties"]) - set(schema["required"])
        for name, schema in schemas().items()
        if "properties" in schema and name not in requests
    }
    assert {name: left for name, left in loose.items() if left} == {
        "ExecutionSummary": {"input", "output"},
        "ProblemEntry": {"path"},
    }


def test_what_may_be_null_says_so():
    task = schemas()["Task"]["properties"]
    assert task["action"]["type"] == ["string", "null"]
    assert task["failure"]["anyOf"] == [{"$ref": "#/components/schemas/Failure"}, {"type": "null"}]
    assert task["name"]["type"] == "string"
    assert task["state"]["$ref"] == "#/components/schemas/TaskState"
    assert "type" not in task["result"]


def test_bounds_are_stated():
    start, claim = schemas()["ExecutionStart"]["properties"], schemas()["ClaimRequest"]["properties"]
    assert start["tags"]["maxItems"] == 64
    assert (start["tags"]["items"]["minLength"], start["tags"]["items"]["maxLength"]) == (1, 255)
    assert claim["lease_seconds"]["exclusiveMinimum"] == 0
    assert claim["limit"] == {**claim["limit"], "minimum": 1, "maximum": 1000}
    assert claim["targets"]["description"].endswith('If left out: ["default"].')
    assert not any(
        "default" in member for schema in schemas().values() for member in schema.get("properties", {}).values()
    )
    assert schemas()["ExecutionStart"]["additionalProperties"] is False
    assert schemas()["ExecutionChange"]["minProperties"] == 1


OPEN = ("/", "/healthz", "/readyz", "/openapi.json", "/callbacks/{token}")


def test_open_operations_need_no_token_and_the_others_do():
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            assert (operation.get("security") == []) == (path in OPEN)
            assert ("401" in operation["responses"]) == ("security" not in operation)
