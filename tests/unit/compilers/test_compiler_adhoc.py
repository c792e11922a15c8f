"""Ad-hoc actions of a workbook are expanded (Mistral: lang/v2/actions.py, actions/adhoc.py)."""

import pytest
from compiling import compiled, fault_of, faults_of, paths_of

from lazyengine.core.graph import AdHoc

MAIL = {
    "description": "d",
    "tags": ["t"],
    "base": 'mail.send subject="<% $.title %>"',
    "base-input": {"to": ["<% $.who %>"], "subject": "x"},
    "input": ["who", {"title": "<% 1 %>"}],
    "output": {"sent": "<% $.id %>"},
}


def book_of(actions, task=None):
    return {"name": "b", "actions": actions, "workflows": {"w": {"tasks": {"a": task or {}}}}}


def node_of(actions, task, default_action=""):
    return compiled(book_of(actions, task), default_action=default_action)[1]["a"]


@pytest.mark.parametrize("name", ["mail", "b.mail"])
def test_an_action_is_looked_up_in_the_workbook(name):
    node = node_of({"version": "2.0", "mail": MAIL}, {"action": f"{name} who=<% $.x %>"})
    assert (node.action, node.input) == ("mail.send", {"who": "<% $.x %>"})
    facts = AdHoc(
        {"title": "<% 1 %>"}, ("who",), {"to": ["<% $.who %>"], "subject": "<% $.title %>"}, {"sent": "<% $.id %>"}
    )
    assert node.adhoc == (facts,)


def test_bases_are_followed_by_their_full_names_that_of_the_task_first():
    """Mistral looks a base up by its name alone; so an action may be based on one that has its own name."""
    actions = {
        "x": {"base": "b.y", "output": 1},
        "y": {"base": "y", "output": "<% $ %>"},
        "z": {"base": "std.async_noop", "output": None},
    }
    node = node_of(actions, {"action": "x"})
    assert (node.action, [one.output for one in node.adhoc]) == ("y", [1, "<% $ %>"])
    node = node_of(actions, {"action": "z"})
    assert (node.action, len(node.adhoc)) == (None, 1)


def test_what_is_no_ad_hoc_action_stays_as_it_is():
    for name in ("other", "b.other", "<% $.x %>", "c.mail"):
        node = node_of({"mail": MAIL}, {"action": name})
        assert (node.action, node.adhoc) == (name, ())


def test_the_default_action_may_be_one():
    assert node_of({"mail": MAIL}, None, "mail").action == "mail.send"


def test_parameters_of_a_base_are_not_those_of_the_task():
    """std.echo needs `output`, which is the ad-hoc action's to give."""
    assert node_of({"e": {"base": "std.echo", "base-input": {"output": 1}}}, {"action": "e x=1"}).input == {"x": 1}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (7, ""),
        ({}, ""),
        ({"base": 7}, "/base"),
        ({"base": ""}, "/base"),
        ({"base": "x 1"}, "/base"),
        ({"base": "<% $.x %>"}, "/base"),
        ({"base": "x y=<% $. %>"}, "/base"),
        ({"base": "x", "base-input": []}, "/base-input"),
        ({"base": "x", "base-input": {"y": "<% $. %>"}}, "/base-input/y"),
        ({"base": "x", "input": "y"}, "/input"),
        ({"base": "x", "input": [7]}, "/input/0"),
        ({"base": "x", "input": ["y", {"y": 1}]}, "/input/1"),
        ({"base": "x", "input": [{"y": float("nan")}]}, "/input/0/y"),
        ({"base": "x", "output": ["<% $. %>"]}, "/output/0"),
        ({"base": "x", "tags": 7}, "/tags"),
        ({"base": "x", "description": 7}, "/description"),
        ({"base": "x", "other": 7}, "/other"),
        ({"base": "b.x"}, "/base"),
    ],
)
def test_what_no_ad_hoc_action_is(spec, path):
    assert paths_of(book_of({"x": spec}))[0] == f"/actions/x{path}"


@pytest.mark.parametrize("actions", [[], 7, "x", {7: {"base": "x"}, "": {"base": "x"}}])
def test_what_are_no_actions(actions):
    assert paths_of(book_of(actions))[0].startswith("/actions")


def test_a_circle_of_bases():
    """It is told once, whoever leads into it."""
    actions = {"a": {"base": "b.c"}, "c": {"base": "b.d"}, "d": {"base": "b.c"}, "e": {"base": "b.a"}}
    path, message = fault_of(book_of(actions, {"action": "a"}))
    assert path == "/actions/c/base"
    assert message.endswith("b.a → b.c → b.d → b.c")


def test_a_chain_of_bases_is_limited():
    actions = {f"a{n}": {"base": f"b.a{n + 1}"} for n in range(10_000)}
    path, message = fault_of(book_of(actions, {"action": "a0"}))
    assert (path, message) == ("/actions/a9983/base", "at most 16 are based on one another")
    last = {f"a{n}": {"base": f"b.a{n + 1}"} for n in range(16)}
    assert len(node_of(last, {"action": "a0"}).adhoc) == 16


def test_what_they_come_to_counts_for_every_task(monkeypatch):
    """A short text must not become a huge graph: what an ad-hoc action holds is kept at each task."""
    monkeypatch.setattr("lazyengine.compilers.workflow.MOST_TRANSITIONS", 20)
    for length, is_too_long in ((300, False), (1900, True)):
        book = book_of({"x": {"base": "y", "output": "z" * length}}, {"action": "x"})
        if is_too_long:
            assert [path for path, _ in faults_of(book)] == ["/workflows/w/tasks"]
        else:
            compiled(book)
