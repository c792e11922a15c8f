"""What is told of each node, compared with slow definitions of it on random graphs."""

import sys
from functools import cache
from random import Random

from compiling import compiled, definition_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyengine.compilers.topology import components_of, find_loop, order_of
from lazyengine.core.graph import On
from lazyengine.errors import DefinitionInvalid

CLAUSES = ("on-success", "on-error", "on-complete", "on-skip")


def random_tasks(source, with_loops=False):
    """Tasks whose edges follow a hidden order that is not the order of definition."""
    size = source.randint(1, 9)
    names = [f"t{id}" for id in range(size)]
    tasks: dict[str, dict] = {name: {} for name in names}
    hidden = source.sample(names, size)
    joined = set()
    for place, name in enumerate(hidden):
        later = hidden[1:] if with_loops and source.random() < 0.3 else hidden[place + 1 :]
        for clause in CLAUSES:
            if chosen := source.sample(later, min(len(later), source.randrange(3))):
                tasks[name][clause] = chosen
                joined.update(chosen)
    for name in sorted(joined):
        if join := source.choice([None, None, "all", "one"]):
            tasks[name]["join"] = join
    return tasks


def targets_of(tasks, name):
    return list(dict.fromkeys(target for clause in CLAUSES for target in tasks[name].get(clause, [])))


def sources_of(tasks, name):
    return [one for one in tasks if name in targets_of(tasks, one)]


def ways(tasks, source, target):
    """How many runs of a task one run of another may lead to."""
    times = {clause: tasks[source].get(clause, []).count(target) for clause in CLAUSES}
    return max(max(times["on-success"], times["on-error"]) + times["on-complete"], times["on-skip"])


def reachable(tasks, name):
    """What can be reached over one edge or more."""
    found, last = set(targets_of(tasks, name)), None
    while found != last:
        last = set(found)
        found |= {target for one in last for target in targets_of(tasks, one)}
    return found


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_every_node_is_as_the_slow_definitions_say(seed):
    tasks = random_tasks(Random(seed))
    graph, nodes = compiled(definition_of(tasks))
    names = list(tasks)
    assert list(nodes) == names

    @cache
    def runs(name):
        """How often a task can run at most: by counting the ways that lead to it."""
        arriving = sum(runs(source) * ways(tasks, source, name) for source in sources_of(tasks, name))
        return 1 if tasks[name].get("join") or not arriving else arriving

    for name, node in nodes.items():
        spec = tasks[name]
        targets = targets_of(tasks, name)
        sources = sources_of(tasks, name)
        heeded = [one for one in targets if any(tasks[below].get("join") for below in {one} | reachable(tasks, one))]
        assert node.indegree == len(sources)
        assert node.join == {None: None, "one": 1, "all": len(sources)}[spec.get("join")]
        assert node.repeats == (runs(name) > 1)
        assert [names[id] for id in node.heeds] == heeded
        assert {names[id] for id in node.joins} == {target for target in targets if tasks[target].get("join")}
        assert (node.loop, node.loop_facts) == (None, None)
        assert [(edge.on, names[edge.to]) for edge in node.edges] == [
            (On(clause), target) for clause in CLAUSES for target in spec.get(clause, [])
        ]
    assert graph.roots == tuple(id for id, name in enumerate(names) if not nodes[name].indegree)
    assert graph.roots


@settings(derandomize=True, max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_loops_are_as_the_slow_definitions_say(seed):
    tasks = random_tasks(Random(seed), with_loops=True)
    names = list(tasks)
    below = {name: reachable(tasks, name) for name in names}
    roots = [name for name in names if not sources_of(tasks, name)]
    try:
        graph, nodes = compiled(definition_of(tasks))
    except DefinitionInvalid:
        assert not roots
        return
    assert [names[id] for id in graph.roots] == roots
    reached = {*roots, *(name for root in roots for name in below[root])}
    looping = {name for name in names if name in below[name]}
    joins = {name for name in names if tasks[name].get("join")}
    told = {name for name in names if name in joins or below[name] & joins}

    for name, node in nodes.items():
        loop = {one for one in below[name] if name in below[one]}
        targets = targets_of(tasks, name)
        heard = [one for one in sources_of(tasks, name) if one in reached]
        assert node.indegree == (len(heard) if name in reached else len(sources_of(tasks, name)))
        assert node.join == {None: None, "one": 1, "all": len(sources_of(tasks, name))}[tasks[name].get("join")]
        if name in looping:
            assert node.repeats
        elif name in joins:
            assert not node.repeats
        elif name in reached:
            often = sum(ways(tasks, one, name) for one in heard) > 1
            assert node.repeats == (often or any(nodes[one].repeats for one in heard))
        facts = node.loop_facts
        if loop and (loop & joins or any(target in told for one in loop for target in targets_of(tasks, one))):
            assert node.loop == min(names.index(one) for one in loop)
            assert (node.heeds, node.beyond) == ((), {})
            assert {names[id] for id in node.joins} == {one for one in targets if one in joins - looping}
            assert (facts is not None) == (node.id == node.loop)
        else:
            assert (node.loop, facts) == (None, None)
            assert [names[id] for id in node.heeds] == [one for one in targets if one in told]
            assert {names[id] for id in node.joins} == {one for one in targets if one in joins - looping}
        if facts:
            links = [(one, target) for one in names for target in targets_of(tasks, one)]
            leading = [one for one, target in links if one in reached - loop and target in loop]
            leaving = {(one, target) for one, target in links if one in loop and target in told - loop}
            assert facts.entries == len(leading)
            assert {names[id] for id in facts.joins} == loop & joins
            assert {(names[one], names[target]) for one, target in facts.exits} == leaving
            assert len(facts.exits) == len(leaving)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_whom_to_tell_in_the_place_of_another(seed):
    """Those that count first on every way down: joins, what repeats, and what is in a loop that has to know."""
    _, nodes = compiled(definition_of({**random_tasks(Random(seed), with_loops=True), "root": {}}))
    rows = list(nodes.values())

    def first_below(id):
        node = rows[id]
        if node.join is not None or node.repeats or node.loop is not None:
            return [id]
        return [further for target in node.heeds for further in first_below(target)]

    for node in rows:
        for target in node.heeds:
            assert list(node.beyond.get(target, (target,))) == first_below(target)


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


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), max_size=3, unique=True), min_size=7, max_size=7))
def test_components_are_what_can_reach_each_other(rows):
    """Each stands before those that lead to it."""
    tasks = {str(id): {"on-success": [str(target) for target in row]} for id, row in enumerate(rows)}
    below = {id: {int(name) for name in reachable(tasks, str(id))} for id in range(7)}
    groups = components_of(rows)
    assert sorted(id for group in groups for id in group) == list(range(7))
    for place, group in enumerate(groups):
        assert group == [id for id in range(7) if id == group[0] or (id in below[group[0]] and group[0] in below[id])]
        assert all(
            target in [*group, *(id for lower in groups[:place] for id in lower)] for id in group for target in rows[id]
        )


def calls(tasks):
    """Every Python call that compiling takes."""
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


def test_the_work_grows_as_the_graph_does():
    """Four times the tasks are four times the calls: of a chain, of a ring, of loops behind one another."""

    def chain(size):
        return {f"t{n}": {"on-success": f"t{n + 1}"} for n in range(size)} | {f"t{size}": {"join": "all"}}

    def ring(size):
        return {**chain(size), f"t{size}": {"join": "one", "on-error": "t1"}}

    def loops(size):
        tasks = chain(size)
        return {name: {**spec, **({"on-error": name} if name != "t0" else {})} for name, spec in tasks.items()}

    for tasks in (chain, ring, loops):
        assert calls(tasks(400)) < 4.2 * calls(tasks(100))
