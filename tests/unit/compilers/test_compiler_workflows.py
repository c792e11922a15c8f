"""Around the tasks: version, which workflow, its input, output and type, and the digest."""

import pytest
from compiling import compiled, definition_of, fault_of, paths_of

from lazyengine.compilers.workflow import compile_definition, definition_digest, document_digest
from lazyengine.errors import DefinitionInvalid, WorkflowNotFound

TASKS = {"a": {}}
TWO = {"version": "2.0", "v": {"tasks": TASKS}, "w": {"tasks": {"b": {}, "c": {}}}}


@pytest.mark.parametrize("version", ["2.0", "2", 2, 2.0])
def test_versions(version):
    assert compiled({"version": version, "w": {"tasks": TASKS}})[0].size == 1


@pytest.mark.parametrize("version", [None, "", "3.0", 1, True, [], [[[]]], {}, "2" * 1000, 10**4000])
def test_other_versions(version):
    path, message = fault_of({"version": version, "w": {"tasks": TASKS}})
    assert path == "/version"
    assert len(message) < 100


def test_the_only_workflow_needs_no_name():
    assert compiled({"w": {"tasks": TASKS}})[0].workflow == "w"


def test_one_of_several_needs_a_name():
    assert compiled(TWO, "w")[0].size == 2
    for name in (None, "x", ""):
        with pytest.raises(WorkflowNotFound, match="which has: 'v', 'w'"):
            compile_definition(TWO, name, "", 10)


def test_the_other_workflows_are_checked_too():
    with pytest.raises(DefinitionInvalid, match="/v/tasks/a"):
        compile_definition({**TWO, "v": {"tasks": {"a": []}}}, "w", "", 10)


def test_name_and_description_of_a_definition_are_remarks():
    assert compiled({"name": "x", "description": "y", "w": {"tasks": TASKS}})[0].workflow == "w"


def test_a_workflow_may_be_called_name():
    assert compiled({"name": {"tasks": TASKS}})[0].workflow == "name"


@pytest.mark.parametrize("document", [{}, {"version": "2.0"}, {"name": "x", "description": "y"}])
def test_what_has_no_workflow(document):
    assert paths_of(document) == [""]


def test_tasks_without_a_workflow():
    assert paths_of({"version": "2.0", "tasks": TASKS}) == ["/tasks"]


@pytest.mark.parametrize("workflow", [None, [], "x", 7])
def test_a_workflow_is_an_object(workflow):
    assert paths_of({"w": workflow}) == ["/w"]


@pytest.mark.parametrize("type", ["", None, 7, [], "x" * 1000])
def test_other_types(type):
    path, message = fault_of(definition_of(TASKS, type=type))
    assert path == "/w/type"
    assert len(message) < 100


def test_what_people_write_about_a_workflow_does_no_harm():
    about = {"type": "direct", "description": "x", "tags": ["y"], "name": "w", "version": "2.0"}
    assert compiled(definition_of(TASKS, **about))[0] == compiled(definition_of(TASKS))[0]


def test_other_keys():
    path, message = fault_of({"w": {"tasks": TASKS, "x": {}}})
    assert path == "/w/x"
    assert "unknown" in message


def test_what_may_hold_expressions():
    """It is kept as it was written, and what is no expression has its place."""
    spec = {"vars": {"v": "<% $.x %>"}, "output": {"o": ["{{ _.v }}"]}, "output-on-error": {"e": 1}, "input": ["x"]}
    graph, _ = compiled(definition_of(TASKS, **spec))
    assert (graph.vars, graph.output, graph.output_on_error) == (spec["vars"], spec["output"], spec["output-on-error"])
    for key in ("vars", "output", "output-on-error"):
        assert paths_of({"w": {"tasks": TASKS, key: {"a": ["<% $. %>"]}}}) == [f"/w/{key}/a/0"]


@pytest.mark.parametrize(
    ("given", "defaulted", "required"),
    [
        (None, {}, ()),
        ([], {}, ()),
        (["a", "b"], {}, ("a", "b")),
        (["a", {"b": None}, {"c": [1]}], {"b": None, "c": [1]}, ("a",)),
        ([{"a": "<% $. %>"}], {"a": "<% $. %>"}, ()),
    ],
)
def test_input(given, defaulted, required):
    """A default is never evaluated, so what looks like an expression in it is text."""
    graph, _ = compiled(definition_of(TASKS, input=given))
    assert (graph.input, graph.required) == (defaulted, required)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, ""),
        ("a", ""),
        (0, ""),
        (False, ""),
        ([7], "/0"),
        ([None], "/0"),
        ([""], "/0"),
        ([{}], "/0"),
        ([{"a": 1, "b": 2}], "/0"),
        ([{7: 1}], "/0"),
        (["a", "a"], "/1"),
        (["a", {"a": 1}], "/1"),
        ([{"a": 1}, {"a": 2}], "/1"),
        ([{"a": {7: 1}}], "/0/a"),
        ([{"a": {"b": float("nan")}}], "/0/a/b"),
    ],
)
def test_other_input(given, path):
    assert paths_of(definition_of(TASKS, input=given)) == [f"/w/input{path}"]


@pytest.mark.parametrize("output", [None, {}, {"a": [1, {"b": None}]}])
def test_output(output):
    assert compiled(definition_of(TASKS, output=output))[0].output == output


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ([], ""),
        (0, ""),
        ({"a": "<% $. %>"}, "/a"),
        ({"a": float("inf")}, "/a"),
        ({None: 1}, ""),
        ({"a": {2: {3: "<% $. %>"}}}, "/a"),
    ],
)
def test_other_output(output, path):
    assert paths_of(definition_of(TASKS, output=output))[0] == f"/w/output{path}"


def test_expressions_are_limited_in_length():
    """Parsing takes long: one fault, and none of those behind it is parsed any more."""
    tasks = {f"t{n}": {"input": {"x": f"<% '{n}{'x' * 60_000}' %>"}} for n in range(20)}
    assert fault_of(definition_of(tasks)) == (
        "/w/tasks/t8/input/x",
        "all expressions together have at most 500000 characters",
    )


def test_the_digest_tells_all_apart_that_compiles_to_another_graph():
    """The order of tasks is their ids, so it counts as well."""
    other_order = {"version": "2.0", "w": TWO["w"], "v": TWO["v"]}
    other_tasks = {**TWO, "w": {"tasks": {"c": {}, "b": {}}}}
    digests = {
        definition_digest(document_digest(definition), workflow, action)
        for definition in (TWO, other_order, other_tasks, "w: {tasks: {a: }}", "\ud800")
        for workflow in (None, "v", "w")
        for action in ("", "std.noop")
    }
    assert len(digests) == 30
    assert document_digest(TWO) == document_digest(dict(TWO))
    assert len({definition_digest("d", "w", "", name) for name in (None, "", "a", "b")}) == 4
    assert definition_digest("d", "w", "") == definition_digest("d", "w", "", None)


def test_all_faults_come_at_once():
    spec = {"type": "x", "input": 7, "output": [], "vars": 7, "tasks": {"a": {"join": -1}, "b": 7, "c": {"x": 1}}}
    assert paths_of({"w": spec}) == [
        "/w/type",
        "/w/input",
        "/w/vars",
        "/w/output",
        "/w/tasks/a/join",
        "/w/tasks/b",
        "/w/tasks/c/x",
    ]
    with pytest.raises(DefinitionInvalid) as caught:
        compile_definition({"v": 7, "w": spec}, "w", "", 10)
    assert len(caught.value.faults) == 8
