"""with-items: variables and their lists (Mistral: lang/v2/tasks.py, _get_with_items_as_dict)."""

import pytest
from compiling import definition_of, fault_of, nodes_of, paths_of


def items_of(given):
    return nodes_of({"a": {"with-items": given}})["a"].items


@pytest.mark.parametrize(
    ("given", "items"),
    [
        (None, {}),
        ("i in <% $.x %>", {"i": "<% $.x %>"}),
        ("i in {{ _.x }}", {"i": "{{ _.x }}"}),
        ("i in {% for k in _.x %}{{ k }}{% endfor %}", {"i": "{% for k in _.x %}{{ k }}{% endfor %}"}),
        ("  my-item_1   in[1, 2] ", {"my-item_1": [1, 2]}),
        ('i in ["<% $.x %>", {"y": null}]', {"i": ["<% $.x %>", {"y": None}]}),
        ("i in []", {"i": []}),
        ("in in <% $.x %>", {"in": "<% $.x %>"}),
        (["i in [1]", "k in <% $.x %>"], {"i": [1], "k": "<% $.x %>"}),
    ],
)
def test_items(given, items):
    assert items_of(given) == items


def test_input_with_items_is_that_of_any_task():
    node = nodes_of({"a": {"with-items": "i in [1]", "action": "std.echo output=<% $.i %>", "concurrency": 2}})["a"]
    assert (node.input, node.policy.concurrency) == ({"output": "<% $.i %>"}, 2)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "i",
        "i in",
        "i in ",
        "i of [1]",
        "iin [1]",
        "i inside [1]",
        "a b in [1]",
        "<% $.x %>",
        "i in x",
        "i in 1",
        'i in {"x": 1}',
        "i in [1",
        "i in [1] x",
        "i in [NaN]",
        "i in [<% 1 %>]",
        "i in <% $.x %> x",
        "i in <% $. %>",
        'i in ["<% $. %>"]',
        "i in " + "[" * 100 + "]" * 100,
        "i in " + "[" * 100_000,
        7,
        {},
        [],
        {"i": [1]},
    ],
)
def test_what_are_no_items(given):
    path, message = fault_of(definition_of({"a": {"with-items": given}}))
    assert path == "/w/tasks/a/with-items"
    assert len(message) <= 500


def test_faults_in_a_list_have_their_places():
    given = ["i in [1]", 7, "i in [2]", "k", ["k in [1]"]]
    assert paths_of(definition_of({"a": {"with-items": given}})) == [f"/w/tasks/a/with-items/{n}" for n in (1, 2, 3, 4)]
