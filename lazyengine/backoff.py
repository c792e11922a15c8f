"""How long to wait before what has failed is tried again."""

import random
from collections.abc import Callable


def backoff_seconds(
    failures: int, first: float = 0.5, longest: float = 60.0, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """Return a pause that doubles with each failure, spread so that not all come at once.

    :param failures: how often it failed before, in a row
    :param first: seconds, at most, of the pause that is the first
    :param longest: seconds, at most, of any
    """
    return uniform(0.5, 1.0) * min(first * 2.0 ** min(failures, 30), longest)
