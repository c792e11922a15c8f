"""Documents of the grammar, with and without something wrong in them, and what holds of whatever comes of them."""

import copy
import json
import re
from argparse import Namespace
from random import Random
from typing import Any

from lazyengine.compilers.faults import LONGEST_MESSAGE, LONGEST_POINTER, MOST_FAULTS
from lazyengine.compilers.workflow import compile_definition
from lazyengine.core.graph import Command, Graph, Node
from lazyengine.db.rows import graph_from_json, graph_to_json, node_of, node_row
from lazyengine.errors import DefinitionInvalid, Fault, InputInvalid, WorkflowNotFound

WORDS = (
    *("a", "b", "c", "all", "one", "noop", "fail", 'fail(msg="x")', "fail msg=<% $.x %>", "pause", "", "skip"),
    *("std.echo output=1", "std.noop", "book.act", "act x=1", "count=1 delay=2", "i in <% $.x %>", "i in [1]"),
    *("on-success", "on-error", "on-complete", "on-skip", "join", "action", "workflow", "input", "output", "tasks"),
    *("task-defaults", "next", "publish", "branch", "atomic", "base", "actions", "requires", "with-items", "type"),
    *("retry", "count", "delay", "timeout", "wait-before", "pause-before", "concurrency", "keep-result", "safe-rerun"),
    *("<% $.x %>", "{{ _.x }}", "<% $. %>", "x=1", "w", "2.0", "a/b", "~", "\0", "\ud800", "x" * 300),
    *("direct", "reverse"),
)
SCALARS = (*WORDS, None, True, False, 0, 1, 2, -1, 1.5, float("inf"), float("nan"), 10**400)
NAMES = "abcde"
CLAUSES = ("on-success", "on-error", "on-complete", "on-skip")
COMMANDS = ("noop", "fail", "pause", "succeed", 'fail(msg="x y")', "fail msg=1", "fail msg=<% task().result %>")
POLICIES = {
    "retry": ("count=1 delay=2", {"count": "<% $.x %>", "delay": 0, "break-on": "{{ _.x }}"}),
    **dict.fromkeys(("wait-before", "wait-after", "timeout", "concurrency"), (0, 3, "<% $.x %>")),
    **dict.fromkeys(("pause-before", "fail-on", "safe-rerun"), (True, False, "<% $.x %>")),
}
ACTIONS = {
    "act": {"base": "book.deep y=1", "base-input": {"x": "<% $.x %>"}, "input": ["x", {"z": 1}], "output": "<% $ %>"},
    "deep": {"base": "std.echo output=<% $.x %>"},
}
WORK = (
    *("std.noop", "std.echo output=1", "mail.send", "std.async_noop", "<% $.x %>", "<% $.x %> x=1", "act x=1", None),
)


def json_value(source: Random, depth: int = 0) -> Any:
    """Any JSON, and a little more: keys that are no strings, numbers that are none."""
    form = source.randrange(5) if depth < 4 else 4
    if form == 0:
        return [json_value(source, depth + 1) for _ in range(source.randrange(3))]
    if form == 1:
        return {source.choice(SCALARS): json_value(source, depth + 1) for _ in range(source.randrange(3))}
    return source.choice(SCALARS)


def document(source: Random) -> dict[Any, Any]:
    """A definition by the grammar: mostly direct, mostly without loops, sometimes a workbook."""
    names = source.sample(NAMES, source.randint(1, 5))
    kind = "reverse" if source.random() < 0.2 else "direct"
    tasks = {name: _task(source, kind, names, place) for place, name in enumerate(names)}
    workflow: dict[str, Any] = {"tasks": dict(source.sample(list(tasks.items()), len(tasks)))}
    if kind == "reverse":
        workflow["type"] = kind
    if source.random() < 0.3:
        workflow["task-defaults"] = _defaults(source, kind, names)
    if source.random() < 0.3:
        workflow["input"] = [*source.sample("pq", source.randrange(3)), {"r": "<% 1 %>"}]
    if source.random() < 0.3:
        workflow["output"] = {"x": [1, None, "y"]}
    if source.random() < 0.3:
        return {"version": "2.0", "name": "book", "actions": copy.deepcopy(ACTIONS), "workflows": {"w": workflow}}
    return {"version": "2.0", "w": workflow}


def _defaults(source: Random, kind: str, names: list[str]) -> dict[str, Any]:
    defaults = _policies(source)
    if kind == "reverse":
        return {**defaults, "requires": names[-1]}
    return {**defaults, **{key: _clause(source, names[-1:]) for key in CLAUSES if source.random() < 0.3}}


def _task(source: Random, kind: str, names: list[str], place: int) -> dict[str, Any] | None:
    task: dict[str, Any] = {}
    if kind == "direct":
        leading_back = source.random() < 0.15
        later = names[1:] if leading_back else names[place + 1 :]
        task = {key: _clause(source, later) for key in CLAUSES if source.random() < 0.4}
        if source.random() < 0.3:
            task["join"] = source.choice(["all", "one", 1, 2])
    elif source.random() < 0.7:
        task["requires"] = source.sample(names[place + 1 :], source.randrange(len(names) - place))
    if source.random() < 0.4:
        task["action"] = source.choice(WORK)
    elif source.random() < 0.1:
        task["workflow"] = source.choice(["v", "v x=1", "<% $.x %>"])
    if source.random() < 0.1:
        task["input"] = source.choice([{"output": [1, {"b": None}]}, "<% $.x %>"])
    if source.random() < 0.1:
        task["with-items"] = source.choice(["i in <% $.x %>", ["i in [1, 2]", "k in {{ _.x }}"]])
    if source.random() < 0.2:
        task.update(_policies(source), **{"keep-result": source.choice([True, False])})
    if source.random() < 0.2:
        task[source.choice(["publish", "publish-on-error", "publish-on-skip"])] = {"x": "<% $.y %>"}
    return task or None


def _policies(source: Random) -> dict[str, Any]:
    return {key: source.choice(values) for key, values in POLICIES.items() if source.random() < 0.2}


def _clause(source: Random, later: list[str]) -> Any:
    entries = source.sample([*later, *source.sample(COMMANDS, 2)], source.randrange(min(3, len(later) + 2)))
    if source.random() < 0.1:
        return {"publish": {"branch": {"x": 1}, "atomic": {"y": 2}}, "next": entries}
    entries = [{entry: "<% $.x %>"} if source.random() < 0.1 else entry for entry in entries]
    return entries[0] if len(entries) == 1 else entries


def mutated(source: Random, definition: dict[Any, Any]) -> dict[Any, Any]:
    """One to three places of a definition with something else in them, or one key more, or one less."""
    for _ in range(source.randint(1, 3)):
        places = list(_places(definition))
        if not places:
            break
        container, key = source.choice(places)
        act = source.randrange(3)
        if act == 0:
            del container[key]
        elif act == 1:
            container[key] = json_value(source)
        elif isinstance(container, dict):
            container[source.choice(SCALARS)] = json_value(source)
        else:
            container.append(json_value(source))
    return definition


def _places(value: Any) -> Any:
    for key, member in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)


def check(definition: Any, workflow: str | None = None, task_name: str | None = None) -> bool:
    """Compile: no error but the two typed ones, with places that exist; tell whether it compiled."""
    before = copy.deepcopy(definition)
    try:
        graph, nodes = compile_definition(definition, workflow, "", 1000, task_name)
    except DefinitionInvalid as error:
        check_faults(definition, error.faults)
        return False
    except WorkflowNotFound:
        return False
    except InputInvalid as error:
        known = re.findall("'(.)'", str(error).partition("one of ")[2])
        return check(definition, workflow, known[-1]) if task_name is None and known else True
    finally:
        assert repr(definition) == repr(before), "the compiler changed its input"
    check_graph(graph, nodes)
    if task_name is not None:
        check_reverse(nodes, task_name)
    return True


def check_faults(definition: Any, faults: list[Fault]) -> None:
    assert 1 <= len(faults) <= MOST_FAULTS
    for fault in faults:
        assert len(fault.path) <= LONGEST_POINTER
        assert 0 < len(fault.message) <= LONGEST_MESSAGE
        assert exists(definition, fault.path), fault


def exists(document: Any, pointer: str) -> bool:
    """Whether a pointer leads to a member, or to one that its object lacks."""
    at = document
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for depth, part in enumerate(parts):
        if isinstance(at, list) and part.isdigit() and int(part) < len(at):
            at = at[int(part)]
        elif isinstance(at, dict):
            found = [key for key in at if str(key) == part]
            if not found:
                return depth == len(parts) - 1 and part in ("tasks", "join", "workflows")
            at = at[found[0]]
        else:
            return False
    return True


def check_graph(graph: Graph, nodes: list[Node]) -> None:
    """What graph.Node promises of every field that the compiler works out, and that a row holds all of it."""
    assert [node.id for node in nodes] == list(range(graph.size))
    leading: dict[int, set[int]] = {node.id: set() for node in nodes}
    loops = {node.id: node.loop_facts for node in nodes if node.loop_facts}
    for node in nodes:
        targets = list(dict.fromkeys(edge.to for edge in node.edges if not isinstance(edge.to, Command)))
        for target in targets:
            leading[target].add(node.id)
        assert set(node.heeds) <= set(targets)
        assert node.joins <= {id for id in targets if nodes[id].join is not None}
        assert node.loop is None or (node.loop in loops and not node.heeds)
        assert (node.loop_facts is not None) == (node.loop == node.id)
    for node in nodes:
        assert node.indegree <= len(leading[node.id])
        assert bool(node.indegree) == bool(leading[node.id])
        assert node.join is None or 1 <= node.join <= len(leading[node.id])
        assert not (node.repeats and not node.indegree)
        assert node.action != ""
        assert node.action is None or node.workflow is None
        row = json.loads(json.dumps(node_row(1, node)))
        assert node_of(Namespace(**row)) == node
    for first, loop in loops.items():
        members = {node.id for node in nodes if node.loop == first}
        assert min(members) == first
        assert set(loop.joins) == {id for id in members if nodes[id].join is not None}
        assert all(source in members and target not in members for source, target in loop.exits)
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph)))) == graph
    assert graph.roots == tuple(node.id for node in nodes if not leading[node.id])
    assert graph.roots
    assert graph.nests == any(node.workflow for node in nodes)


def check_reverse(nodes: list[Node], target: str) -> None:
    """Everything leads to the target, and nobody is told of what does not run."""
    (last,) = [node for node in nodes if not node.edges]
    assert last.name == target
    for node in nodes:
        assert node.ends == (node is last)
        assert (node.join or 0) == node.indegree
        assert (node.repeats, node.heeds, node.joins, node.beyond, node.loop) == (False, (), frozenset(), {}, None)
