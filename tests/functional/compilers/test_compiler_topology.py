"""What is told of each node, compared with slow definitions of it on random graphs."""

import sys
from functools import cache
from random import Random

from compiling import compiled, definition_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyengine.compilers.topology import find_loop, order_of
from lazyengine.core.graph import On

CLAUSES = ("on-success", "on-error", "on-complete")


def random_tasks(source):
    """Tasks whose edges follow a hidden order that is not the order of definition."""
    size = source.randint(1, 9)
    names = [f"t{id}" for id in range(size)]
    tasks: dict[str, dict] = {name: {} for name in names}
    hidden = source.sample(names, size)
    joined = set()
    for place, name in enumerate(hidden):
        later = hidden[place + 1 :]
        for clause in CLAUSES:
            if chosen := source.sample(later, min(len(later), source.randrange(3))):
                tasks[name][clause] = chosen
                joined.update(chosen)
    for name in sorted(joined):
        if join := source.choice([None, None, "all", "one"]):
            tasks[name]["join"] = join
    return tasks


def most_runs(tasks):
    """How often each task can run at most: by counting the ways that lead to it."""

    def ways(source, target):
        spec = tasks[source]
        times = {clause: spec.get(clause, []).count(target) for clause in CLAUSES}
        return max(times["on-success"], times["on-error"]) + times["on-complete"]

    @cache
    def most(name):
        arriving = sum(most(source) * ways(source, name) for source in tasks if ways(source, name))
        return 1 if tasks[name].get("join") or not arriving else arriving

    return {name: most(name) for name in tasks}


def reachable(tasks, name):
    found, last = {name}, set()
    while found != last:
        last = set(found)
        found |= {target for one in last for clause in CLAUSES for target in tasks[one].get(clause, [])}
    return found


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_every_node_is_as_the_slow_definitions_say(seed):
    tasks = random_tasks(Random(seed))
    graph, nodes = compiled(definition_of(tasks))
    names = list(tasks)
    assert list(nodes) == names
    runs = most_runs(tasks)
    for name, node in nodes.items():
        spec = tasks[name]
        targets = list(dict.fromkeys(target for clause in CLAUSES for target in spec.get(clause, [])))
        sources = {one for one in names if any(name in tasks[one].get(clause, []) for clause in CLAUSES)}
        joins = {target for target in targets if tasks[target].get("join")}
        heeded = [one for one in targets if any(tasks[below].get("join") for below in reachable(tasks, one))]
        assert node.indegree == len(sources)
        assert node.join == {None: None, "one": 1, "all": len(sources)}[spec.get("join")]
        assert node.repeats == (runs[name] > 1)
        assert [names[id] for id in node.heeds] == heeded
        assert {names[id] for id in node.joins} == joins
        assert [(edge.on, names[edge.to]) for edge in node.edges] == [
            (On(clause), target) for clause in CLAUSES for target in spec.get(clause, [])
        ]
    assert graph.roots == tuple(id for id, name in enumerate(names) if not nodes[name].indegree)
    assert graph.roots


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), max_size=3, unique=True), min_size=7, max_size=7))
def test_a_loop_that_is_found_is_one(rows):
    """On any graph: either there is an order, or what is found leads round."""
    order = order_of(rows)
    loop = find_loop(rows, order)
    if loop:
        assert len(order) < len(rows)
        assert len(set(loop)) == len(loop)
        assert all(after in rows[before] for before, after in zip(loop, [*loop[1:], loop[0]], strict=True))
    else:
        place = {id: at for at, id in enumerate(order)}
        assert len(place) == len(rows)
        assert all(place[source] < place[target] for source, row in enumerate(rows) for target in row)


def test_the_work_grows_as_the_graph_does():
    """Every Python call counted: four times the chain is four times the calls."""

    def calls(size):
        tasks = {f"t{n}": {"on-success": f"t{n + 1}"} for n in range(size)} | {f"t{size}": {"join": "all"}}
        count = 0

        def tell(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(tell)
        try:
            compiled(definition_of(tasks))
        finally:
            sys.setprofile(None)
        return count

    assert calls(400) < 4.2 * calls(100)
