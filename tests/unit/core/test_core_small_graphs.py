"""All graphs up to 3 nodes, every interleaving, every outcome; up to 5 nodes see tests/integration/core_exhaustive."""

import pytest
from exploration import Count, Explorer, graphs

from lazyengine.core.resolve import UNBOUNDED
from lazyengine.core.state import TaskState

ENDS = (TaskState.SUCCESS, TaskState.FAILURE)


@pytest.mark.parametrize(
    ("sizes", "budget", "graphs_states_interleavings"),
    [((1, 2, 3), UNBOUNDED, (252, 3195, 2930)), ((1, 2), 1, (8, 46, 30))],
)
def test_every_interleaving_is_what_the_oracle_says(sizes, budget, graphs_states_interleavings):
    """Each state of each way through each graph has the runs and the verdict that the oracle has; none is stuck."""
    count = Count()
    for size in sizes:
        for description in graphs(size):
            count += Explorer(description, ENDS, budget).explore()
    assert (count.graphs, count.states, count.interleavings) == graphs_states_interleavings


def test_an_interruption_at_any_point_changes_nothing():
    """Suspended and resumed once, at every possible point, graphs of 2 nodes end as the oracle says all the same."""
    count = Count()
    for description in graphs(2):
        count += Explorer(description, (*ENDS, TaskState.CANCELLED), interrupt=True).explore()
    assert count.graphs == 7
    assert count.states > 3 * 43  # before, during and after
