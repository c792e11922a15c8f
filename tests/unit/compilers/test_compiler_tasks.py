"""What a task does: its action with inline parameters, its input, its target."""

import pytest
from compiling import compiled, definition_of, fault_of, faults_of, nodes_of, paths_of


def node_of(spec, default_action=""):
    return nodes_of({"a": spec}, default_action)["a"]


@pytest.mark.parametrize("spec", [None, {}, {"action": None}, {"action": "std.async_noop"}])
def test_without_an_action_it_is_completed_from_outside(spec):
    node = node_of(spec)
    assert (node.action, node.input, node.target) == (None, {}, "default")


@pytest.mark.parametrize("spec", [None, {}, {"action": None}])
def test_the_default_action_stands_in(spec):
    assert node_of(spec, "std.noop").action == "std.noop"
    assert node_of(spec, 'mail.send to="x"').input == {"to": "x"}


def test_the_default_action_can_be_no_action():
    assert node_of({}, "std.async_noop").action is None


def test_a_faulty_default_action_is_told_at_the_task():
    assert fault_of(definition_of({"a": {}}), "std.echo") == ("/w/tasks/a", "std.echo needs the parameter 'output'")


def test_inline_parameters_join_the_input_and_win():
    """Mistral: lang/v2/tasks.py, _process_action_and_workflow."""
    node = node_of({"action": 'mail.send to="x" tries=3', "input": {"to": "y", "text": None}})
    assert (node.action, node.input) == ("mail.send", {"to": "x", "tries": 3, "text": None})


def test_input_without_an_action_is_kept_for_who_completes_it():
    assert node_of({"input": {"text": "hello"}}).input == {"text": "hello"}


def test_a_workflow_takes_parameters_as_an_action_does():
    """The default action is for tasks without either."""
    node = node_of({"workflow": 'v to="x" n=3', "input": {"to": "y", "text": "<% $.x %>"}}, "std.noop")
    assert (node.workflow, node.action) == ("v", None)
    assert node.input == {"to": "x", "n": 3, "text": "<% $.x %>"}


@pytest.mark.parametrize("name", ["<% $.x %>", "{{ _.x }}", "{% if _.x %}a{% endif %}", "my.<%$.x%>"])
def test_names_may_be_expressions(name):
    node = node_of({"action": f"{name} x=<% 1 %>", "target": name})
    assert (node.action, node.target, node.input) == (name, name, {"x": "<% 1 %>"})
    assert node_of({"workflow": name}).workflow == name


@pytest.mark.parametrize("given", ["<% $.x %>", "{{ _.x }}"])
def test_input_may_be_one_expression(given):
    """So it is not known which parameters it has."""
    assert node_of({"action": "std.echo", "input": given}).input == given
    assert node_of({"workflow": "v", "input": given}).input == given


def test_whether_some_task_is_a_workflow():
    assert compiled(definition_of({"a": {}, "b": {"workflow": "v"}}))[0].nests
    assert not compiled(definition_of({"a": {}, "b": {"action": "v"}}))[0].nests


def test_what_people_write_about_a_task_does_no_harm():
    assert node_of({"description": "x", "tags": ["y"], "name": "z"}) == node_of({})


@pytest.mark.parametrize("given", [{"target": "gpu"}, {"target": "a b"}, {"target": "ü\u00a0"}])
def test_targets(given):
    assert node_of(given).target == given["target"]


@pytest.mark.parametrize("value", [None, [], {"a": [1.5, True, None, "x" * 1000]}, "", "%", "{", "<% no end", "%> <%"])
def test_input_is_any_literal(value):
    assert node_of({"action": "x", "input": {"value": value}}).input == {"value": value}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ([], ""),
        ("std.noop", ""),
        ({"action": 7}, "/action"),
        ({"action": ""}, "/action"),
        ({"action": False}, "/action"),
        ({"action": "x" * 256}, "/action"),
        ({"action": "a\nb"}, "/action"),
        ({"action": "a\0b"}, "/action"),
        ({"action": "std.echo output=<% $. %>"}, "/action"),
        ({"action": "<% $. %>"}, "/action"),
        ({"action": "<% $.x %>.y x"}, "/action"),
        ({"action": f"<% $.{'x' * 250} %>"}, "/action"),
        ({"action": "std.echo output=NaN"}, "/action"),
        ({"action": "std.echo output=1e400"}, "/action"),
        ({"action": 'std.echo output=["\\u003c% 1 + %>"]'}, "/action"),
        ({"action": "std.echo output=[" + "[" * 70 + "]" * 71}, "/action"),
        ({"action": "std.echo output='open"}, "/action"),
        ({"action": "std.echo"}, "/action"),
        ({"action": "std.echo output=1 delay=2"}, "/action"),
        ({"action": "std.noop x=1"}, "/action"),
        ({"action": "std.noop", "input": {"x" * 1000: 1}}, "/action"),
        ({"input": 0}, "/input"),
        ({"input": ""}, "/input"),
        ({"input": "x"}, "/input"),
        ({"input": "<% $. %>"}, "/input"),
        ({"input": "see <% $.x %>"}, "/input"),
        ({"input": "<% $.x %>", "action": "mail.send to=1"}, "/action"),
        ({"input": []}, "/input"),
        ({"input": {7: "x"}}, "/input"),
        ({"input": {"a": [1, "<% $. %>"]}}, "/input/a/1"),
        ({"input": {"a": "{{ _. }}"}}, "/input/a"),
        ({"input": {"a/b": {"~": "{% if x %}"}}}, "/input/a~1b/~0"),
        ({"input": {"a": float("inf")}}, "/input/a"),
        ({"input": {"a": {1, 2}}}, "/input/a"),
        ({"target": ""}, "/target"),
        ({"target": None}, "/target"),
        ({"target": "x" * 256}, "/target"),
        ({"target": "a\nb"}, "/target"),
        ({"target": "<% $. %>"}, "/target"),
        ({"workflow": 7}, "/workflow"),
        ({"workflow": ""}, "/workflow"),
        ({"workflow": "v 1"}, "/workflow"),
        ({"workflow": "v x=<% $. %>"}, "/workflow"),
        ({"workflow": "v", "action": "x"}, "/workflow"),
        ({"publish-on-skip": {7: 1}}, "/publish-on-skip"),
        ({"requires": "a"}, "/requires"),
        ({"description": 7}, "/description"),
        ({"tags": "x"}, "/tags"),
        ({"tags": ["x", 7]}, "/tags/1"),
        ({"on-succes": "a"}, "/on-succes"),
        ({None: 1}, "/None"),
        ({7: 1}, "/7"),
    ],
)
def test_what_no_task_is(spec, path):
    assert paths_of(definition_of({"a": spec})) == [f"/w/tasks/a{path}"]


def test_literals_are_nested_only_so_deep():
    value: list = []
    for _ in range(100_000):
        value = [value]
    path, message = fault_of(definition_of({"a": {"input": {"x": value}}}))
    assert path.startswith("/w/tasks/a/input/x/0/0")
    assert message == "nested deeper than 64"


@pytest.mark.parametrize("tasks", [None, {}, [], "a", 7])
def test_there_has_to_be_a_task(tasks):
    assert paths_of(definition_of(tasks)) == ["/w/tasks"]
    assert paths_of({"w": {}}) == ["/w/tasks"]


def test_there_are_at_most_so_many_tasks():
    tasks = {f"t{number}": None for number in range(11)}
    assert faults_of(definition_of(tasks), max_tasks=10) == [("/w/tasks", "a workflow has at most 10 tasks, not 11")]
    assert len(nodes_of(tasks)) == 11
