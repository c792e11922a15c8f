"""Variables along a branch and where branches join (Mistral's facts by name)."""

from itertools import permutations

from lazyengine.core.context import EMPTY, Context, join, leaves, merged, publish


def write(value):
    return [value]


def read(slot):
    return slot[0]


def published(context, *steps):
    for values in steps:
        context = publish(context, values, write)
    return context


def joined(*branches):
    """Join branches, each (node, context); the order must not matter."""
    found = []
    for order in permutations(branches):
        waiting = None
        for node, context in order:
            waiting = join(waiting, context, node, read, write)
        found.append({name: read(slot) for name, slot in waiting.slots.items()})
    assert all(one == found[0] for one in found)
    return found[0]


def test_leaves():
    assert list(leaves({"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": {}})) == ["a", "b.c", "b.d.e"]


def test_ctx_dict_replace_in_line():
    """ctx-dict-replace-in-line: along one branch a published object replaces the old one."""
    assert published(EMPTY, {"o": {"a": 1}}, {"o": {"b": 2}}).slots == {"o": [{"b": 2}]}


def test_ctx_join_merge():
    """ctx-join-merge: a join sees what all its branches published."""
    assert joined((1, published(EMPTY, {"x": 1})), (2, published(EMPTY, {"y": 2}))) == {"x": 1, "y": 2}


def test_ctx_dict_merge():
    """ctx-dict-merge: objects of two branches are merged key by key."""
    one, two = published(EMPTY, {"o": {"a": 1, "s": {"p": 1}}}), published(EMPTY, {"o": {"b": 2, "s": {"q": 2}}})
    assert joined((1, one), (2, two)) == {"o": {"a": 1, "b": 2, "s": {"p": 1, "q": 2}}}


def test_what_comes_once_more_takes_its_own_place():
    """A join that failed may hear more and end again, after it has published: of equal versions its last word holds."""
    waiting = published(join(None, published(EMPTY, {"x": "a"}), 0, read, write), {"p": 1})
    more = join(waiting, published(EMPTY, {"x": "c", "y": 1}), 2, read, write)
    assert (more.slots, more.origins) == ({"x": ["c"], "p": [1], "y": [1]}, {"": 0, "x": 2, "y": 2})
    final = join(join(None, waiting, 3, read, write), more, 3, read, write)
    assert final.slots == more.slots


def test_what_both_have_alike_stays():
    """Equal parts of objects that differ elsewhere are nobody's conflict."""
    one, two = published(EMPTY, {"o": {"a": 1, "b": 1}}), published(EMPTY, {"o": {"a": 1, "c": 2}})
    assert joined((1, one), (2, two)) == {"o": {"a": 1, "b": 1, "c": 2}}


def test_ctx_join_version_wins():
    """ctx-join-version-wins: the branch that published a variable more often wins."""
    often, late = published(EMPTY, {"x": 1}, {"x": 2}), published(EMPTY, {"x": 3})
    assert joined((1, often), (2, late)) == {"x": 2}


def test_ctx_join_one_side_unchanged():
    """ctx-join-one-side-unchanged: who only inherited a variable loses to who set it again."""
    root = published(EMPTY, {"x": 1})
    assert joined((1, published(root, {"x": 2})), (2, root)) == {"x": 2}


def test_ctx_join_tie():
    """ctx-join-tie, our rule: at equal versions the branch whose task stands later in the definition wins."""
    branches = [(node, published(EMPTY, {"x": node, "o": {"k": node}})) for node in (3, 5, 4)]
    assert joined(*branches) == {"x": 5, "o": {"k": 5}}


def test_a_value_and_an_object():
    """The version is of leaves: a value goes over an object of the same name, from either side."""
    assert joined((1, published(EMPTY, {"x": {"a": 1}})), (2, published(EMPTY, {"x": 7}))) == {"x": 7}
    assert joined((1, published(EMPTY, {"x": 7})), (2, published(EMPTY, {"x": {"a": 1}}))) == {"x": 7}


def test_versions_are_kept_through_joins():
    """The higher counter goes on counting behind the join."""
    often = published(EMPTY, {"x": 1}, {"x": 2}, {"x": 3})
    waiting = join(join(None, often, 1, read, write), published(EMPTY, {"x": 9}), 2, read, write)
    behind = publish(Context(waiting.slots, waiting.versions), {"x": 4}, write)
    assert behind.versions == {"x": 4}


def test_equal_slots_are_not_read():
    """What both branches inherited is told by its slot: no value is loaded."""
    same = Context({"x": "digest"}, {"x": 1})
    waiting = join(join(None, same, 1, None, None), same, 2, None, None)
    assert waiting.slots == {"x": "digest"}


def test_merged():
    """One object over another: key by key as far as both are objects, else the one above."""
    left, right = {"a": {"x": 1, "y": 1}, "b": 1, "c": {"z": 1}}, {"a": {"y": 2}, "b": {"q": 2}, "c": 3, "d": 4}
    assert merged(left, right) == {"a": {"x": 1, "y": 2}, "b": {"q": 2}, "c": 3, "d": 4}
    assert left["a"] == {"x": 1, "y": 1}
