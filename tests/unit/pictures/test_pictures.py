"""Pictures of graphs: what they show, and that no name breaks a text; `tests/integration/pictures` has real parsers."""

import html
import re
from collections.abc import Iterator

import pytest
from awkward import NAMES, awkward

from lazyengine.core.graph import Command, Edge, Node, On
from lazyengine.core.state import Items, TaskState
from lazyengine.pictures import COLOURS, GUARD_LENGTH, PicturedEdge, dot, mermaid, picture
from lazyengine.records import RunSummary

DOT_LINE = re.compile(r'  (?:\w+|\w+ -> \w+) \[label="((?:[^"\\]|\\.)*)"(?:, \w+="[^"\\]*")+\];')
MERMAID_LINE = re.compile(
    r'  (?:n\d+(?:\("([^"]*)"\)|\[\["([^"]*)"\]\])|e\d+\(\["([^"]*)"\]\)):::\w+'
    r'|  n\d+ (?:-->|-\.->|==>)\|"([^"]*)"\| [ne]\d+'
)


def dot_labels(text: str) -> Iterator[list[str]]:
    """Read the labels of nodes and edges as Graphviz does, line by line; every line has to be one that we know."""
    lines = text.split("\n")
    assert lines[0] == "digraph {"
    assert lines[-2:] == ["}", ""]
    for line in lines[4:-2]:
        found = DOT_LINE.fullmatch(line)
        assert found, line
        escapes = re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], found[1])
        yield html.unescape(escapes).split("\n")


def mermaid_labels(text: str) -> Iterator[list[str]]:
    """The same of a flowchart; what is left of a label beside its numbers has no punctuation that means anything."""
    lines = text.split("\n")
    assert lines[0] == "flowchart TB"
    assert lines[-1] == ""
    for line in lines[1:-1]:
        if line.startswith("  classDef "):
            assert re.fullmatch(r"  classDef [a-z]+ [-a-z0-9:#,]+", line)
            continue
        found = MERMAID_LINE.fullmatch(line)
        assert found, line
        label = found[found.lastindex or 0].split("<br/>")
        for part in label:
            left = re.sub(r"#\d+;|(?<=[0-9A-Za-z])[-_](?=[0-9A-Za-z])", "", part)
            assert all(one.isalnum() or one == " " or not one.isascii() for one in left), left
        yield [re.sub(r"#(\d+);", lambda one: chr(int(one[1])), part).replace("\u2060", "") for part in label]


@pytest.mark.parametrize(("write", "read"), [(dot, dot_labels), (mermaid, mermaid_labels)])
def test_every_name_and_every_guard_is_read_back_as_it_is(write, read):
    labels = list(read(write(awkward())))
    nodes, rest = labels[: len(NAMES)], labels[len(NAMES) :]
    assert nodes == [[name, "PENDING"] for name in NAMES]
    ends, edges = rest[: len(Command)], rest[len(Command) :]
    assert ends == [[command.value] for command in Command]
    guards = [name if len(name) <= 40 else name[:39] + "…" for name in NAMES]
    assert edges[: len(NAMES) - 1] == [["on-success", guard] for guard in guards[:-1]]
    assert edges[len(NAMES) - 1 :] == [[on.value, NAMES[13]] for on in On for _ in Command]


@pytest.mark.parametrize("write", [dot, mermaid])
def test_what_cannot_be_drawn_is_replaced(write):
    text = write(picture([Node(0, "a\0\x85\u2028\ud800\uffffb", edges=(Edge(On.ERROR, 0, "c\n\t d\r\n"),))]))
    assert "a" + "\ufffd" * 5 + "b" in text
    assert "c d" in text
    assert text.encode().decode() == text


def test_a_picture_has_what_the_graph_and_the_newest_runs_have():
    nodes = (
        Node(0, "a", edges=(Edge(On.SUCCESS, 1, True), Edge(On.ERROR, Command.FAIL, "x" * (GUARD_LENGTH + 1)))),
        Node(1, "b", join=1, indegree=1, action="std.async_noop"),
        Node(2, "c", workflow="<% $.w %>", items={"i": []}),
        Node(3, "d", action="<% $.a %>"),
    )
    items = Items(3, begun=3, done=2, failed=1)
    runs = {2: RunSummary(TaskState.RUNNING, 2, "deep", items), 3: RunSummary(TaskState.SUCCESS, 1, "std.echo")}
    shown = picture(nodes, runs)
    a, b, c, d = shown.nodes
    assert (a.state, a.iteration, a.action, a.workflow, a.join, a.items) == (
        TaskState.PENDING,
        1,
        None,
        None,
        None,
        None,
    )
    assert (b.join, b.action) == (1, None), "std.async_noop is what waits for its caller"
    assert (c.state, c.iteration, c.action, c.workflow, c.items) == (TaskState.RUNNING, 2, None, "deep", items)
    assert (d.action, d.workflow) == ("std.echo", None)
    assert shown.edges == (
        PicturedEdge("a", "b", On.SUCCESS, "true", None),
        PicturedEdge("a", None, On.ERROR, "x" * (GUARD_LENGTH - 1) + "…", Command.FAIL),
    )


@pytest.mark.parametrize("read", [lambda shown: dot_labels(dot(shown)), lambda shown: mermaid_labels(mermaid(shown))])
def test_labels_tell_everything_in_words(read):
    nodes = (
        Node(0, "a", items={"i": []}),
        Node(1, "b", items={"i": []}, action="x" * 41),
        Node(2, "c", join=2, indegree=2),
        Node(3, "d", join=2, indegree=3, workflow="w"),
        Node(4, "e", items={"i": []}),
    )
    runs = {
        1: RunSummary(TaskState.FAILURE, 3, None, Items(4, done=4, failed=1)),
        4: RunSummary(TaskState.SUCCESS, 1, None, Items(2, done=2)),
    }
    assert list(read(picture(nodes, runs))) == [
        ["a", "PENDING", "with items"],
        ["b", "FAILURE, iteration 3", "x" * 39 + "…", "4 of 4 items done, 1 failed"],
        ["c", "PENDING", "join all"],
        ["d", "PENDING", "workflow w", "join 2 of 3"],
        ["e", "SUCCESS", "2 of 2 items done"],
    ]


def test_states_clauses_and_workflows_are_drawn_apart():
    """Each state has its colour; of a task, one end for each command; a workflow has a frame of its own."""
    nodes = [Node(number, state) for number, state in enumerate(TaskState)]
    runs = {number: RunSummary(state) for number, state in enumerate(TaskState)}
    last = f"n{len(nodes)}"
    ends = tuple(Edge(on, Command.FAIL) for on in On)
    shown = picture([*nodes, Node(len(nodes), "w", workflow="w", edges=ends)], runs)
    in_dot, in_mermaid = dot(shown), mermaid(shown)
    for number, state in enumerate(TaskState):
        inside, line = COLOURS[state]
        assert f'  n{number} [label="{state}\\n{state}", fillcolor="{inside}", color="{line}"];\n' in in_dot
        assert f'  n{number}("{state}<br/>{state}"):::{state.lower()}\n' in in_mermaid
        assert f"  classDef {state.lower()} fill:{inside},stroke:{line}," in in_mermaid
    assert f'{last} [label="w\\nPENDING\\nworkflow w", ' in in_dot
    assert in_dot.count('peripheries="2"') == 1
    assert f'  {last}[["w<br/>PENDING<br/>workflow w"]]:::pending\n' in in_mermaid
    assert re.findall(rf'{last} -> (e\d) \[label="(.*)", style="(.*)"\]', in_dot) == [
        ("e0", "on-success", "solid"), ("e0", "on-error", "dashed"), ("e0", "on-complete", "bold"),
        ("e0", "on-skip", "dotted"),
    ]  # fmt: skip
    assert re.findall(rf"{last} (\S+)\|.*\| (e\d)", in_mermaid) == [
        ("-->", "e0"), ("-.->", "e0"), ("==>", "e0"), ("-.->", "e0"),
    ]  # fmt: skip


def test_nothing_is_a_picture_too():
    assert picture(()) == picture([], {})
    assert dot(picture(())).endswith(";\n}\n")
    assert mermaid(picture(())) == "flowchart TB\n"
