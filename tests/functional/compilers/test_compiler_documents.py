"""Any document compiles or is refused with typed errors whose places exist; what compiles keeps the graph's promises.

A case is a seed: what goes wrong is found again by it.
"""

from random import Random

from generated import check, document, json_value, mutated
from hypothesis import given, settings
from hypothesis import strategies as st

seeds = st.integers(0, 2**32)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(seeds)
def test_documents_of_the_grammar(seed):
    check(document(Random(seed)))


@settings(derandomize=True, max_examples=120, deadline=None)
@given(seeds)
def test_documents_with_something_wrong_in_them(seed):
    source = Random(seed)
    check(mutated(source, document(source)))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(seeds)
def test_any_json(seed):
    source = Random(seed)
    keys = ("version", "w", "tasks", "workflows", "actions", "name", "", "a/~b", 7, None)
    check({key: json_value(source) for key in source.sample(keys, source.randrange(5))})


def test_the_generator_makes_both_kinds():
    """Else the tests above would prove little; and what compiles has every construct."""
    found = [document(Random(seed)) for seed in range(300)]
    verdicts = [check(definition) for definition in found]
    assert 60 < sum(verdicts) < 280
    compiled = repr([definition for definition, verdict in zip(found, verdicts, strict=True) if verdict])
    for construct in (
        "reverse",
        "requires",
        "workflow'",
        "with-items",
        "retry",
        "on-skip",
        "act x=1",
        "join",
        "atomic",
    ):
        assert construct in compiled, construct
