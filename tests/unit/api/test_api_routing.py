"""Which path and method reach which operation, and that nothing else does."""

from urllib.parse import quote

import pytest
from asked_engine import ID

from lazyengine.api.app import CONTROLLERS, operations
from lazyengine.api.operation import operations_of
from lazyengine.api.root import Routes

TASKS = f"/executions/{ID}/tasks/"


def test_every_operation_is_routed_to_the_method_that_declares_it():
    controllers = [object.__new__(kind) for kind in CONTROLLERS]
    routes = Routes(controllers)
    walked = 0
    for controller in controllers:
        for operation, exposed in operations_of(controller):
            found = routes.find(operation.path.replace("{", "-").replace("}", "-"))
            assert found[operation.method] == (exposed, [f"-{segment.name}-" for segment in operation.segments])
            walked += 1
    assert walked == len(operations()) == 27
    assert len({operation.id for operation in operations()}) == walked


NAMES = [
    "delete", "new", "edit", "index", "a.json", "a.html", "claim", "tasks", "_route", "_lookup", "_default", "options",
    "__class__", "a b", " ", "a+b", "100%", "%41", "a%2Fb", "{}", "{task_name}", "?", "#", "a;b=c",
    "ä", "😀", "..a", "a:b@c",
    "x" * 255,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_a_task_of_any_name_is_reached(api, asked, name):
    api.get(TASKS + quote(name, safe=""))
    assert asked.calls.pop() == ("get_task", ("", ID, name, None, None), {})
    api.put_json(TASKS + quote(name, safe=""), {"state": "SUCCESS"})
    assert asked.last.task == name


@pytest.mark.parametrize("name", [*NAMES, "validate"], ids=lambda name: name[:20])
def test_a_workflow_of_any_name_is_reached(api, asked, name):
    url = "/workflows/" + quote(name, safe="")
    api.get(url)
    assert asked.calls.pop() == ("get_workflow", ("", name, "", None), {})
    api.delete(url + "?namespace=n", status=204)
    assert asked.calls.pop() == ("delete_workflow", ("", name, "n"), {})


def test_validating_is_not_looking_at_a_workflow(api, asked):
    api.post_json("/workflows/validate", {"definition": {"w": {}}})
    assert asked.calls.pop() == ("validate_definition", ({"w": {}},), {})
    assert api.post("/workflows/other", status=405).json["code"] == "request.method_not_allowed"


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        ("%00", "task.not_found"),
        ("a%0Ab", "task.not_found"),
        ("%7F", "task.not_found"),
        ("x" * 256, "task.not_found"),
        ("%FF", "resource.not_found"),
        ("%ED%A0%80", "resource.not_found"),
        ("a%2Fb", "resource.not_found"),
        ("", "resource.not_found"),
        ("a/", "resource.not_found"),
    ],
)
def test_what_cannot_be_the_name_of_a_task_is_404_without_asking_the_engine(api, asked, segment, code):
    assert api.get(TASKS + segment, status=404).json["code"] == code
    assert asked.calls == []


@pytest.mark.parametrize(
    "id_", ["1", ID[:-1], ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", "%00", "%D9%A3" + ID[1:]]
)
def test_what_is_no_uuid_is_no_execution(api, asked, id_):
    for path in (f"/executions/{id_}", f"/executions/{id_}/tasks", f"/executions/{id_}/tasks/a"):
        assert api.get(path, status=404).json["code"] == "execution.not_found"
    assert asked.calls == []


def test_a_uuid_in_capitals_is_the_same_execution(api, asked):
    api.get(f"/executions/{ID.upper()}")
    assert asked.last == ID


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/executions/", f"/executions/{ID}/", "//executions", f"/executions//{ID}", "/tasks", "/openapi",
     "/executions.json", "/Executions", "/root", "/options", "/_route", "/routes"],
)  # fmt: skip
def test_any_other_path_is_404_with_a_problem(api, asked, path):
    answer = api.get(path, status=404)
    assert answer.json["code"] == "resource.not_found"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert asked.calls == []


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/executions", "DELETE", "GET, HEAD, OPTIONS, POST"),
        (f"/executions/{ID}", "PATCH", "DELETE, GET, HEAD, OPTIONS, PUT"),
        (f"/executions/{ID}/tasks", "POST", "GET, HEAD, OPTIONS, PUT"),
        ("/tasks/claim", "GET", "OPTIONS, POST"),
        ("/tasks/claim", "HEAD", "OPTIONS, POST"),
        ("/workflows", "DELETE", "GET, HEAD, OPTIONS, POST, PUT"),
        ("/workflows/w", "POST", "DELETE, GET, HEAD, OPTIONS"),
        ("/workflows/validate", "PUT", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/healthz", "TRACE", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_405_and_told_what_is_allowed(api, asked, path, method, allow):
    answer = api.request(path, method=method, status=405)
    assert answer.headers["Allow"] == allow
    assert api.options(path, status=204).headers["Allow"] == allow
    assert asked.calls == []


def test_a_form_cannot_turn_one_method_into_another(api, asked):
    api.post(f"/executions/{ID}?_method=DELETE", {"_method": "DELETE"}, status=405)
    headers = {"X-HTTP-Method-Override": "DELETE"}
    api.get(f"/executions/{ID}", headers=headers)
    assert [name for name, *_ in asked.calls] == ["get_execution"]
