"""Documents of the grammar, with and without something wrong in them, and what holds of whatever comes of them."""

import copy
from random import Random
from typing import Any

from lazyengine.compilers.faults import LONGEST_MESSAGE, LONGEST_POINTER, MOST_FAULTS
from lazyengine.compilers.workflow import compile_definition
from lazyengine.core.graph import Command, Graph, Node
from lazyengine.errors import DefinitionInvalid, Fault, WorkflowNotFound

WORDS = (
    *(
        "a",
        "b",
        "c",
        "all",
        "one",
        "noop",
        "fail",
        'fail(msg="x")',
        "pause",
        "",
        "skip",
        "std.echo output=1",
        "std.noop",
    ),
    *("on-success", "on-error", "on-complete", "join", "action", "input", "output", "tasks", "task-defaults", "next"),
    *("<% $.x %>", "{{ _.x }}", "x=1", "w", "2.0", "a/b", "~", "\0", "\ud800", "x" * 300, "direct", "reverse", "retry"),
)
SCALARS = (*WORDS, None, True, False, 0, 1, 2, -1, 1.5, float("inf"), float("nan"), 10**400)
NAMES = "abcde"
CLAUSES = ("on-success", "on-error", "on-complete")
COMMANDS = ("noop", "fail", "pause", "succeed", 'fail(msg="x y")', "fail msg=1")


def json_value(source: Random, depth: int = 0) -> Any:
    """Any JSON, and a little more: keys that are no strings, numbers that are none."""
    form = source.randrange(5) if depth < 4 else 4
    if form == 0:
        return [json_value(source, depth + 1) for _ in range(source.randrange(3))]
    if form == 1:
        return {source.choice(SCALARS): json_value(source, depth + 1) for _ in range(source.randrange(3))}
    return source.choice(SCALARS)


def document(source: Random) -> dict[Any, Any]:
    """A definition by the grammar; mostly without loops, as a task leads to later ones."""
    names = source.sample(NAMES, source.randint(1, 5))
    tasks = {name: _task(source, names[place + 1 :]) for place, name in enumerate(names)}
    workflow: dict[str, Any] = {"tasks": dict(source.sample(list(tasks.items()), len(tasks)))}
    if source.random() < 0.3:
        workflow["task-defaults"] = {key: _clause(source, names[-1:]) for key in CLAUSES if source.random() < 0.3}
    if source.random() < 0.3:
        workflow["input"] = [*source.sample("pq", source.randrange(3)), {"r": 1}]
    if source.random() < 0.3:
        workflow["output"] = {"x": [1, None, "y"]}
    return {"version": "2.0", "w": workflow}


def _task(source: Random, later: list[str]) -> dict[str, Any] | None:
    task: dict[str, Any] = {key: _clause(source, later) for key in CLAUSES if source.random() < 0.5}
    if source.random() < 0.3:
        task["join"] = source.choice(["all", "one", 1, 2])
    if source.random() < 0.3:
        task["action"] = source.choice(["std.noop", "std.echo output=1", "mail.send", "std.async_noop", None])
    if source.random() < 0.1:
        task["input"] = {"a": [1, {"b": None}]}
    return task or None


def _clause(source: Random, later: list[str]) -> Any:
    entries = source.sample([*later, *source.sample(COMMANDS, 2)], source.randrange(min(3, len(later) + 2)))
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


def check(definition: Any, workflow: str | None = None) -> bool:
    """Compile: no error but the two typed ones, with places that exist; tell whether it compiled."""
    before = copy.deepcopy(definition)
    try:
        graph, nodes = compile_definition(definition, workflow, "", 1000)
    except DefinitionInvalid as error:
        check_faults(definition, error.faults)
        return False
    except WorkflowNotFound:
        return False
    finally:
        assert repr(definition) == repr(before), "the compiler changed its input"
    check_graph(graph, nodes)
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
                return depth == len(parts) - 1 and part in ("tasks", "join")
            at = at[found[0]]
        else:
            return False
    return True


def check_graph(graph: Graph, nodes: list[Node]) -> None:
    """What graph.Node promises of every field that the compiler works out."""
    assert [node.id for node in nodes] == list(range(graph.size))
    leading: dict[int, set[int]] = {node.id: set() for node in nodes}
    for node in nodes:
        targets = list(dict.fromkeys(edge.to for edge in node.edges if not isinstance(edge.to, Command)))
        for target in targets:
            leading[target].add(node.id)
        assert set(node.heeds) <= set(targets)
        assert node.joins == {id for id in targets if nodes[id].join is not None}
        assert set(node.heeds) == node.joins | {id for id in targets if nodes[id].heeds}
    for node in nodes:
        assert node.indegree == len(leading[node.id])
        assert node.join is None or 1 <= node.join <= node.indegree
        assert not (node.repeats and (node.join is not None or not node.indegree))
        assert node.join is not None or node.repeats >= (node.indegree > 1)
        assert node.action != ""
    assert graph.roots == tuple(node.id for node in nodes if not leading[node.id])
    assert graph.roots
