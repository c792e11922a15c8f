"""How the worker processes of a service share its connections evenly.

Each of them is told of a new connection, and whoever comes first has it; one that a caller keeps stays there.  Of eight
that were opened at a time, one of two workers had six or more in seven of ten tries, and did most of the work alone.
So each worker says how many it has, in memory that all of them see, and one that has more than another looks away for a
moment.  Nothing depends on it: after a few moments it accepts all the same.
"""

import mmap

MOST_WORKERS = 64
"""Numbers that workers have; beyond, some share one."""

ABSENT = -1
MOMENT_SECONDS, MOST_MOMENTS = 0.0005, 4


class Headcount:
    """How many connections each worker has; made before they are forked."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * MOST_WORKERS)).cast("i")
        for number in range(MOST_WORKERS):
            self.leave(number)

    def tell(self, worker: int, connections: int) -> None:
        """Say how many a worker has."""
        self._counts[worker % MOST_WORKERS] = connections

    def leave(self, worker: int) -> None:
        """Say that a worker accepts none any more."""
        self.tell(worker, ABSENT)

    def anybody_below(self, connections: int) -> bool:
        """Tell whether some worker has fewer than so many."""
        return any(ABSENT < count < connections for count in self._counts)


HEADCOUNT = Headcount()
