"""Variables, guards and expressions in the engine, on every database (Mistral's facts by name)."""

from typing import Any

import pytest
from driving import OWNER, done, failure, names, new_id, started, success
from sqlalchemy import func, select

from lazyengine import errors
from lazyengine.db import tables as t
from lazyengine.db.database import Database
from lazyengine.engine import Engine
from lazyengine.records import Claim, Start

LONG = "x" * 10_000


def echo(output: Any, **more: Any) -> dict[str, Any]:
    return {"action": "std.echo", "input": {"output": output}, **more}


def end(engine: Engine, id: str) -> tuple[str, Any]:
    execution = engine.get_execution(OWNER, id)
    return execution.state, execution.output


def test_guards_choose(engine: Engine) -> None:
    """Only what a true guard leads to is handed out; the guard sees what the task has just published."""
    tasks = {
        "a": {
            "publish": {"n": "<% task().result %>"},
            "on-success": [{"big": "<% $.n > 10 %>"}, {"small": "{{ _.n <= 10 }}"}, {"never": False}],
        },
        "big": None, "small": None, "never": None,
    }  # fmt: skip
    for result, chosen in ((5, "small"), (50, "big")):
        id = started(engine, tasks)
        assert names(engine.complete_task(OWNER, id, success("a", result)).scheduled) == [chosen]


def test_a_false_guard_settles_a_join(engine: Engine) -> None:
    """join-all-not-triggered: a join that a guard did not choose fails, and with it the execution."""
    tasks = {"a": {"on-success": [{"j": "<% false %>"}]}, "b": {"on-success": "j"}, "j": {"join": "all"}}
    id = started(engine, tasks)
    done(engine, id, "b", "a")
    assert engine.get_task(OWNER, id, "j").state == "FAILURE"
    assert end(engine, id)[0] == "FAILURE"


def test_ctx_shadowing(engine: Engine) -> None:
    """ctx-shadowing: what is published goes over vars, and vars over the input."""
    workflow = {"input": [{"i": "input"}, {"v": "input"}, {"p": "input"}], "vars": {"v": "vars", "p": "vars"}}
    tasks = {
        "a": {"publish": {"p": "published"}, "on-success": "b"},
        "b": echo(["<% $.i %>", "<% $.v %>", "<% $.p %>"]),
    }
    id = started(engine, tasks, workflow=workflow)
    done(engine, id, "a")
    assert engine.get_task(OWNER, id, "b").result == ["input", "vars", "published"]


def test_ctx_publish_sees_old(engine: Engine) -> None:
    """ctx-publish-sees-old: expressions in one publish see the old variables, not each other."""
    tasks = {"a": {"publish": {"x": "<% $.x + 1 %>", "y": "<% $.x %>"}}}
    id = started(engine, tasks, workflow={"input": [{"x": 1}]})
    done(engine, id, "a")
    assert engine.get_task(OWNER, id, "a").published == {"x": 2, "y": 1}
    assert end(engine, id) == ("SUCCESS", {"x": 2, "y": 1})


def test_ctx_branches_isolated(engine: Engine) -> None:
    """ctx-branches-isolated: a branch does not see what a parallel branch published; a global is seen by all."""
    tasks = {
        "a": {"on-success": {"publish": {"branch": {"x": 1}, "global": {"g": "<% task().result %>"}}, "next": []}},
        "b": {"on-success": "c"},
        "c": echo({"x": "<% $.get(x, null) %>", "g": "<% global(g) %>", "dollar": "<% $.g %>"}),
    }
    id = started(engine, tasks)
    engine.complete_task(OWNER, id, success("a", "seen"))
    done(engine, id, "b")
    assert engine.get_task(OWNER, id, "c").result == {"x": None, "g": "seen", "dollar": "seen"}


def test_ctx_join_merge_in_any_order(engine: Engine) -> None:
    """ctx-join-merge, ctx-dict-merge, ctx-join-tie: the same whatever order the branches end in."""
    tasks = {
        "a": {"publish": {"o": {"a": 1}, "t": "a", "a": LONG}, "on-success": "j"},
        "b": {"publish": {"o": {"b": 2}, "t": "b"}, "on-success": "j"},
        "j": {"join": "all", **echo({"o": "<% $.o %>", "t": "<% $.t %>", "a": "<% $.a.len() %>"})},
    }
    for order in ("ab", "ba"):
        id = started(engine, tasks)
        done(engine, id, *order)
        assert engine.get_task(OWNER, id, "j").result == {"o": {"a": 1, "b": 2}, "t": "b", "a": 10_000}


def test_values_are_stored_once(engine: Engine, database: Database) -> None:
    """A long value that a hundred tasks inherit has one row."""
    tasks: dict[str, Any] = {"a": {"publish": {"x": LONG}, "on-success": "t0"}}
    tasks |= {f"t{n}": {"action": "std.noop", "on-success": f"t{n + 1}"} for n in range(100)}
    id = started(engine, tasks | {"t100": echo("<% $.x.len() %>")})
    done(engine, id, "a")
    assert engine.get_task(OWNER, id, "t100").result == 10_000
    with database.engine.connect() as connection:
        of_this = t.stored_value.c.execution_id == id
        assert connection.execute(select(func.count()).select_from(t.stored_value).where(of_this)).scalar_one() == 1


def test_inputs_are_evaluated_when_a_task_is_handed_out(engine: Engine) -> None:
    """The assignment, a claim, a replay and a later look all show the same input."""
    tasks = {
        "a": {"publish": {"n": 4}, "on-success": "b"},
        "b": {"action": "my.act n=<% $.n %>", "input": {"m": "<% $.n + 1 %>"}},
    }
    id = started(engine, tasks)
    expected = {"n": 4, "m": 5}
    first = engine.complete_task(OWNER, id, success("a"))
    assert first.scheduled[0].input == expected
    assert engine.complete_task(OWNER, id, success("a")).scheduled == first.scheduled
    assert engine.claim_tasks(OWNER, Claim("w"))[0].input == expected
    assert engine.get_task(OWNER, id, "b").input == expected


def test_results_of_other_tasks(engine: Engine) -> None:
    """task(name) shows a task of this or of an earlier transaction; env() shows params.env."""
    tasks = {
        "a": {"on-success": "b"},
        "b": echo("<% task(a).result %>-<% env().e %>", **{"on-success": "c"}),
        "c": echo(["<% task(b).result %>", "<% task(b).state %>", "<% task(nobody) %>"]),
    }
    start = Start({"w": {"tasks": tasks}}, "digest", id=new_id(), params={"env": {"e": 7}})
    id = engine.start_execution(OWNER, start).execution.id
    engine.complete_task(OWNER, id, success("a", "r"))
    assert engine.get_task(OWNER, id, "c").result == ["r-7", "SUCCESS", None]


@pytest.mark.parametrize("order", ["abc", "bac", "acb", "cba"])
def test_what_chose_a_join_that_is_lost_is_in_the_output(engine: Engine, order: str) -> None:
    """Whichever order they end in; of equal versions the task that stands later wins, as where the join runs."""
    tasks: dict[str, Any] = {name: {"publish": {"x": name, name: LONG}, "on-success": "j"} for name in "abc"}
    id = started(engine, tasks | {"j": {"join": "all", "publish-on-error": {"p": 1}}})
    for name in order:
        engine.complete_task(OWNER, id, failure(name) if name == "b" else success(name))
    state, output = end(engine, id)
    assert (state, {**output, "result": None}) == (
        "FAILURE",
        {"result": None, "x": "c", "a": LONG, "c": LONG, "p": 1},
    )


def test_specs_show_what_is_written(engine: Engine) -> None:
    """Of the current task, of others of this and of earlier transactions, and of the whole workflow."""
    tasks = {
        "a": {"tags": ["t"], "publish": {"own": "<% task().spec.tags %>"}, "on-success": ["b"]},
        "b": echo("<% task(a).spec %>", tags=["u"], **{"on-success": "c"}),
        "c": echo(["<% task(b).spec.tags %>", "{{ tasks()[0].spec.name }}", "<% task().spec %>"]),
    }
    id = started(engine, tasks, workflow={"output": {"own": "<% $.own %>", "w": "{{ execution().spec }}"}})
    done(engine, id, "a")
    more = {"type": "direct", "version": "2.0"}
    written = {name: {**task, **more, "name": name} for name, task in tasks.items()}
    assert engine.get_task(OWNER, id, "b").result == written["a"]
    assert engine.get_task(OWNER, id, "c").result == [["u"], "a", written["c"]]
    state, output = end(engine, id)
    assert (state, output["own"], output["w"]["tasks"], output["w"]["name"]) == ("SUCCESS", ["t"], written, "w")


def test_the_environment_is_evaluated_at_the_start(engine: Engine) -> None:
    """Over itself as it was given, once; `evaluate_env` leaves it alone (Mistral: `_get_environment`)."""
    env = {"a": 1, "b": "<% env().a + 1 %>", "c": {"d": ["{{ env().b }}", "{{ _.__env.a }}"]}, "id": "<% uuid() %>"}
    tasks = {"t": echo("<% [env().b, env().c.d, env().id] %>"), "u": echo("<% env().id %>")}

    def run(**params: Any) -> tuple[dict[str, Any], list[Any]]:
        wish = Start({"w": {"tasks": tasks}}, "digest", id=new_id(), params=params)
        execution = engine.start_execution(OWNER, wish).execution
        assert engine.start_execution(OWNER, wish).execution == execution
        return execution.params, [engine.get_task(OWNER, execution.id, name).result for name in tasks]

    params, (found, id) = run(env=env)
    assert params == {"env": {"a": 1, "b": 2, "c": {"d": ["<% env().a + 1 %>", 1]}, "id": id}}
    assert found == [2, ["<% env().a + 1 %>", 1], id]
    assert run(env=env, evaluate_env=False) == (
        {"env": env, "evaluate_env": False},
        [[env["b"], env["c"]["d"], env["id"]], env["id"]],
    )


@pytest.mark.parametrize("value", ["<% $.x %>", "<% env().y %>", "{{ 1 / 0 }}", "<% 1 + %>", "<% task().name %>"])
def test_an_environment_that_cannot_be_evaluated_is_refused(engine: Engine, value: str) -> None:
    """No variable is there yet, and no task."""
    wish = Start({"w": {"input": ["x"], "tasks": {"t": None}}}, "d", input={"x": 1}, params={"env": {"v": [value]}})
    with pytest.raises(errors.InputInvalid, match=r"env cannot be evaluated: .*/v/0"):
        engine.start_execution(OWNER, wish)


def test_output_and_output_on_error(engine: Engine) -> None:
    """Output is evaluated over the variables of the end; cmd-fail-output-on-error: merged over the message."""
    workflow = {"output": {"sum": "<% $.x + $.y %>"}, "output-on-error": {"x": "<% $.x %>"}}
    tasks = {
        "a": {"publish": {"x": 1}, "on-success": "j"},
        "b": {"publish": {"y": 2}, "publish-on-error": {"x": 9}, "on-success": "j", "on-error": "fail(msg='no way')"},
        "j": {"join": "all", "action": "std.noop"},
    }
    id = started(engine, tasks, workflow=workflow)
    done(engine, id, "a", "b")
    assert end(engine, id) == ("SUCCESS", {"sum": 3})
    id = started(engine, tasks, workflow=workflow)
    engine.complete_task(OWNER, id, failure("b", "broke"))
    assert end(engine, id) == ("FAILURE", {"result": "no way", "x": 9})


def test_output_bad_expression(engine: Engine) -> None:
    """output-bad-expression: an output that cannot be evaluated makes the execution a failure."""
    id = started(engine, {"a": None}, workflow={"output": {"x": "<% $.nope %>"}})
    answer = engine.complete_task(OWNER, id, success("a"))
    assert answer.execution.state == "FAILURE"
    assert "nope" in end(engine, id)[1]["result"]


def test_publish_error_fails_all(engine: Engine) -> None:
    """publish-error-fails-all: the answer is taken in, the task and the execution have failed; a repeat is a replay."""
    id = started(engine, {"a": {"publish": {"x": "<% $.nope %>"}, "on-error": "b"}, "b": None})
    answer = engine.complete_task(OWNER, id, success("a", 1))
    assert (answer.task.state, answer.execution.state, answer.scheduled) == ("FAILURE", "FAILURE", ())
    assert engine.complete_task(OWNER, id, success("a", 1)).replayed
    with pytest.raises(errors.TaskAlreadyCompleted):
        engine.complete_task(OWNER, id, success("a", 2))


def test_bad_vars_refuse_start(engine: Engine) -> None:
    """bad-vars-refuse-start: nothing is started."""
    with pytest.raises(errors.InputInvalid, match="vars cannot be evaluated"):
        started(engine, {"a": None}, workflow={"vars": {"x": "<% $.nope %>"}})


def test_a_bomb_fails_its_task_and_the_next_one_lives(engine: Engine) -> None:
    """An expression without end is stopped by the clock: its task fails, and the service goes on."""
    bomb = "<% range(1000000).select(range(1000000).sum()).sum() %>"
    id = started(engine, {"a": {"on-success": [{"b": bomb}]}, "b": None})
    assert engine.complete_task(OWNER, id, success("a")).execution.state == "FAILURE"
    id = started(engine, {"a": {"on-success": [{"b": "<% 1 = 1 %>"}]}, "b": None})
    assert names(engine.complete_task(OWNER, id, success("a")).scheduled) == ["b"]


def test_data_survives_a_suspension(engine: Engine) -> None:
    """What ended while the execution was suspended is told at resume, with its variables."""
    tasks = {"a": {"publish": {"x": LONG}, "on-success": [{"b": "<% $.x.len() > 5 %>"}]}, "b": echo("<% $.x.len() %>")}
    id = started(engine, tasks)
    engine.update_execution(OWNER, id, state="SUSPENDED")
    done(engine, id, "a")
    engine.update_execution(OWNER, id, state="RUNNING")
    assert engine.get_task(OWNER, id, "b").result == 10_000
