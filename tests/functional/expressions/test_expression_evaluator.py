"""The evaluator: batches, threads, replaced processes, plain paths."""

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lazyengine.compilers.expressions import EvaluationError, Evaluator, Template, View, compile_template
from lazyengine.compilers.faults import Faults
from lazyengine.settings import Settings

VIEW = View(
    variables={"a": {"b": {"c": 1}}, "list": [1, 2], "s": "x", "keys": 7, "none": None},
    env={"region": "eu"},
    execution={"id": "e"},
    task={"id": "t", "name": "now", "result": {"r": [1]}},
    tasks={"one": {"id": "o", "name": "one", "result": {"r": 5}}},
)
SLOW = "<% ('a' * 60 + '!').matches('(a+)+$') %>"
LARGE = "{{ 'a' * 10 ** 10 }}"


def template(value: Any) -> Template:
    faults = Faults()
    compiled = compile_template(faults, (), value)
    faults.raise_if_any()
    return compiled


def reasons(outcomes: list[Any]) -> list[Any]:
    return [outcome.reason if isinstance(outcome, EvaluationError) else outcome for outcome in outcomes]


def test_a_batch_answers_each_by_itself(evaluator: Evaluator) -> None:
    values = ["<% 1 + 1 %>", "<% $.missing %>", {"x": ["{{ _.s }}!", "<% $.a.b.c %>"]}, "plain", "{{ 1 + 2 }}"]
    outcomes = evaluator.evaluate_many([(template(value), VIEW) for value in values])
    assert reasons(outcomes) == [2, "failed", {"x": ["x!", 1]}, "plain", 3]


def test_memory_fails_only_the_one_that_takes_it(evaluator: Evaluator) -> None:
    outcomes = evaluator.evaluate_many([(template(value), VIEW) for value in ("<% 1 + 1 %>", LARGE, "<% 1 + 2 %>")])
    assert reasons(outcomes) == [2, "memory", 3]


def test_time_is_for_all_of_a_batch(evaluator: Evaluator) -> None:
    """What comes after the one that took it all has no time left."""
    started = time.monotonic()
    outcomes = evaluator.evaluate_many([(template(value), VIEW) for value in ("<% 1 + 1 %>", SLOW, "<% 1 + 2 %>")])
    assert reasons(outcomes) == [2, "timeout", "timeout"]
    assert "were used up" in str(outcomes[2])
    assert time.monotonic() - started < 3


def test_a_large_batch_passes_through(evaluator: Evaluator) -> None:
    """Both directions hold more than the system buffers."""
    view = View(variables={"x": "y" * 50_000})
    outcomes = evaluator.evaluate_many([(template("<% $.x + '!' %>"), view)] * 50)
    assert outcomes == ["y" * 50_000 + "!"] * 50


def test_slow_expressions_do_not_block_others() -> None:
    evaluator = Evaluator(Settings(expression_processes=5, expression_timeout_seconds=3.0))
    evaluator.start()
    slow = [threading.Thread(target=evaluator.evaluate_many, args=([(template(SLOW), VIEW)],)) for _ in range(4)]
    for thread in slow:
        thread.start()
    time.sleep(0.1)
    assert evaluator.evaluate(template("<% 1 + 1 %>"), VIEW) == 2
    assert all(thread.is_alive() for thread in slow)
    for thread in slow:
        thread.join()
    evaluator.close()


def test_threads_get_their_own_answers(evaluator: Evaluator) -> None:
    wrong: list[Any] = []

    def ask(number: int) -> None:
        for turn in range(50):
            view = View(variables={"n": number, "turn": turn})
            answer = evaluator.evaluate(template({"y": "<% $.n * 1000 + $.turn %>", "j": "{{ _.n + 0 }}"}), view)
            if answer != {"y": number * 1000 + turn, "j": number}:
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_killed_process_is_replaced(evaluator: Evaluator) -> None:
    evaluator.evaluate(template("<% 1 + 1 %>"), VIEW)
    for process in evaluator._idle:
        os.kill(process._process.pid, signal.SIGKILL)
    assert evaluator.evaluate(template("<% 1 + 1 %>"), VIEW) == 2


def test_a_fork_starts_its_own_processes(evaluator: Evaluator) -> None:
    evaluator.evaluate(template("<% 1 + 1 %>"), VIEW)
    idle = list(evaluator._idle)
    evaluator._owner = -1  # as it is in a fork
    assert evaluator.evaluate(template("<% 1 + 1 %>"), VIEW) == 2
    assert not set(idle) & set(evaluator._idle)
    evaluator._idle.extend(idle)


def test_a_closed_evaluator_leaves_no_process() -> None:
    evaluator = Evaluator(Settings())
    evaluator.start()
    processes = [process._process for process in evaluator._idle]
    assert len(processes) == Settings().expression_processes
    evaluator.close()
    assert all(process.returncode is not None for process in processes)


def test_what_jinja_changes_is_seen_by_nobody_else(evaluator: Evaluator) -> None:
    """Mistral's sandbox lets templates change lists; building a list that way is common."""
    change = template({"a": "{{ _.list.append(3) }}{{ _.list }}", "b": "{{ _.list + [] }}", "c": "<% $.list + [] %>"})
    expected = {"a": "None[1, 2, 3]", "b": [1, 2], "c": [1, 2]}
    assert evaluator.evaluate_many([(change, VIEW)] * 2) == [expected] * 2


def test_functions_in_filters_are_not_evaluated_ahead(evaluator: Evaluator) -> None:
    """Jinja's compiler would do that with constants, and keep the value for the next execution."""
    count = template("{{ 'x' | tasks | length }}")
    assert evaluator.evaluate(count, View(task_list=[{"workflow_execution_id": "e"}])) == 1
    assert evaluator.evaluate(count, View()) == 0


PATHS = [
    "$.a", "$.a.b", "$.a.b.c", "$.list", "$.none", "$.missing", "$.a.missing", "$.list.x", "$.keys", "$.s.x",
    "$.none.x", "task().result", "task().result.r", "task().missing", "task(one).result.r", "task(now).result",
    "task(no).result", "env().region", "env().missing", "$.a.keys",
]  # fmt: skip


@pytest.mark.parametrize("view", [VIEW, View(variables={"a": {"b": 1}})], ids=["task", "bare"])
@pytest.mark.parametrize("path", PATHS)
def test_plain_paths_are_followed_as_they_are_evaluated(evaluator: Evaluator, path: str, view: View) -> None:
    """With a term that the short way does not know, the same path goes to the process."""
    jinja = path.replace("$", "_").replace("(one)", "('one')").replace("(now)", "('now')").replace("(no)", "('no')")
    for short, long in ((f"<% {path} %>", f"<% [{path}] %>"), (f"{{{{ {jinja} }}}}", f"{{{{ [{jinja}] }}}}")):
        outcomes = evaluator.evaluate_many([(template(value), view) for value in (short, long)])
        if isinstance(outcomes[1], EvaluationError):
            assert isinstance(outcomes[0], EvaluationError)
        else:
            assert [outcomes[0]] == outcomes[1]


def test_plain_paths_need_no_process() -> None:
    evaluator = Evaluator(Settings())
    values = {"y": "<% $.a.b.c %>", "j": "{{ _.a.b }}", "t": "<% task(one).result.r %>", "l": ["literal", 1]}
    assert evaluator.evaluate(template(values), VIEW) == {"y": 1, "j": {"c": 1}, "t": 5, "l": ["literal", 1]}
    assert not evaluator._idle


@pytest.mark.parametrize("value", ["<% $.a.b.c + 1 %>", "{{ _.a.b.c + 1 }}"])
def test_a_round_trip_is_short(evaluator: Evaluator, value: str) -> None:
    compiled, taken = template(value), []
    for _ in range(200):
        started = time.perf_counter()
        evaluator.evaluate(compiled, VIEW)
        taken.append(time.perf_counter() - started)
    assert statistics.quantiles(taken, n=10)[0] < 0.001, "ten per cent of the round trips took less than this"


def test_a_process_that_does_not_start_is_no_fault_of_an_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazyengine.compilers.expressions.process.CHILD", "lazyengine.no_such_module")
    evaluator = Evaluator(Settings())
    with pytest.raises(RuntimeError, match="does not start"):
        evaluator.evaluate(template("<% 1 + 1 %>"), VIEW)


def test_evaluation_is_repeatable(evaluate: Callable[..., Any]) -> None:
    """A set is listed in the same order whichever process does it."""
    other = Evaluator(Settings())
    letters = template("<% set(a, b, c, d, e, f, g, h).toList() %>")
    assert other.evaluate(letters, VIEW) == evaluate("<% set(a, b, c, d, e, f, g, h).toList() %>")
    other.close()
