"""An evaluator with a short deadline, and short ways to ask it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lazyengine.compilers.expressions import EvaluationError, Evaluator, View, compile_template
from lazyengine.compilers.faults import Faults
from lazyengine.settings import Settings

SECONDS = 1.0
MEMORY_BYTES = 64 * 1024 * 1024
RESULT_BYTES = 100_000


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    evaluator = Evaluator(
        Settings(
            expression_timeout_seconds=SECONDS,
            expression_memory_bytes=MEMORY_BYTES,
            expression_result_bytes=RESULT_BYTES,
        )
    )
    evaluator.start()
    yield evaluator
    evaluator.close()


@pytest.fixture
def evaluate(evaluator: Evaluator) -> Callable[..., Any]:
    """Evaluate a value over variables."""

    def evaluated(value: Any, **view: Any) -> Any:
        faults = Faults()
        template = compile_template(faults, (), value)
        faults.raise_if_any()
        return evaluator.evaluate(template, View(**view))

    return evaluated


@pytest.fixture
def error_of(evaluate: Callable[..., Any]) -> Callable[..., EvaluationError]:
    """The error of a value that has none."""

    def error(value: Any, **view: Any) -> EvaluationError:
        with pytest.raises(EvaluationError) as caught:
            evaluate(value, **view)
        return caught.value

    return error
