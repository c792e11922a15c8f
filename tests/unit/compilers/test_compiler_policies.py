"""Policies of tasks and their defaults (Mistral: lang/v2/policies.py, engine/policies.py, construct_policies_list)."""

import pytest
from compiling import definition_of, faults_of, nodes_of, paths_of

from lazyengine.core.graph import NO_POLICY, Policy, Retry

X = "<% $.x %>"
ALL = {
    "pause-before": True,
    "wait-before": 1,
    "wait-after": 2,
    "timeout": 3,
    "concurrency": 4,
    "fail-on": X,
    "retry": {"count": 5, "delay": 6, "break-on": X, "continue-on": "{{ _.x }}"},
    "keep-result": False,
    "safe-rerun": True,
}
POLICY = Policy(True, 1, 2, 3, 4, X, Retry(5, 6, X, "{{ _.x }}"), False, True)


def policy_of(spec, defaults=None):
    return nodes_of({"a": spec}, task_defaults=defaults)["a"].policy


def test_each_has_its_place():
    assert policy_of(ALL) == POLICY
    assert policy_of({}) == policy_of(dict.fromkeys(ALL)) == NO_POLICY


@pytest.mark.parametrize("key", ["wait-before", "wait-after", "timeout", "concurrency"])
def test_numbers(key):
    field = key.replace("-", "_") + ("" if key == "concurrency" else "_seconds")
    for value in (0, 7, 1_000_000, X, "{{ _.x }}", "{% if _.x %}1{% endif %}"):
        assert getattr(policy_of({key: value}), field) == value
    for value in (-1, 1.0, True, "7", "", "x", f"{X} s", "<% $. %>", "<%>", "<% $\n.x %>", [], {}, 10**4000):
        assert paths_of(definition_of({"a": {key: value}})) == [f"/w/tasks/a/{key}"]


def test_the_largest_numbers():
    assert policy_of({"timeout": 315_360_000, "concurrency": 1_000_000})
    found = faults_of(definition_of({"a": {"timeout": 315_360_001, "concurrency": 1_000_001}}))
    assert found == [
        ("/w/tasks/a/timeout", "a whole number from 0 to 315360000 stands here, or an expression, not 315360001"),
        ("/w/tasks/a/concurrency", "a whole number from 0 to 1000000 stands here, or an expression, not 1000001"),
    ]


@pytest.mark.parametrize("key", ["pause-before", "fail-on", "safe-rerun", "keep-result"])
def test_truths(key):
    field = key.replace("-", "_")
    for value in (True, False, X):
        kept = value if key != "keep-result" else bool(value)  # Mistral never evaluates it
        assert getattr(policy_of({key: value}), field) == kept
    for value in (0, 1, "true", "", "x", "<% $. %>", []):
        assert paths_of(definition_of({"a": {key: value}})) == [f"/w/tasks/a/{key}"]


# -- retry ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "retry"),
    [
        ("count=3 delay=1", Retry(3, 1)),
        ("retry count=3 delay=1", Retry(3, 1)),
        ("delay=0, count=<% $.n %>", Retry("<% $.n %>", 0)),
        (f"count=3 delay=1 break-on={X} continue-on={X}", Retry(3, 1, X, X)),
    ],
)
def test_retry_on_one_line(text, retry):
    assert policy_of({"retry": text}).retry == retry


@pytest.mark.parametrize(
    ("retry", "path"),
    [
        ({"count": 1}, ""),
        ({"delay": 1}, ""),
        ({"count": -1, "delay": 1}, "/count"),
        ({"count": 1_000_001, "delay": 1}, "/count"),
        ({"count": 1, "delay": 315_360_001}, "/delay"),
        ({"count": 1, "delay": None}, "/delay"),
        ({"count": 1, "delay": 1, "break-on": "x"}, "/break-on"),
        ({"count": 1, "delay": 1, "continue-on": "<% $. %>"}, "/continue-on"),
        ({"count": 1, "delay": 1, "x": 1}, "/x"),
        (7, ""),
        ([], ""),
        ("", ""),
        ("<% $.x %>", ""),
        ("count=1 delay=x", ""),
        ("count=1 delay=1 x=1", ""),
        ("count=1 delay=1 break-on=<% $. %>", ""),
        ('count="1" delay=1', ""),
    ],
)
def test_what_is_no_retry(retry, path):
    assert set(paths_of(definition_of({"a": {"retry": retry}}))) == {f"/w/tasks/a/retry{path}"}


def test_a_fault_on_one_line_names_what_is_wrong_in_it():
    (fault,) = faults_of(definition_of({"a": {"retry": "count=1 delay=soon"}}))
    assert fault[1].endswith("not 'soon' (delay)")


# -- defaults ---------------------------------------------------------------------------------------------------------


def test_defaults_apply_where_a_task_has_none():
    defaults = {key: value for key, value in ALL.items() if key != "keep-result"}
    assert policy_of({"keep-result": False}, defaults) == POLICY
    assert policy_of({"timeout": 9, "retry": "count=1 delay=0"}, defaults) == Policy(
        True, 1, 2, 9, 4, X, Retry(1, 0), True, True
    )


def test_nothing_and_false_count_as_none():
    """Mistral: a policy that its factory makes nothing of is asked for in the defaults."""
    defaults = {"wait-before": 1, "timeout": 3, "pause-before": True, "fail-on": True, "concurrency": 2}
    nothing = {"wait-before": 0, "timeout": 0, "pause-before": False, "fail-on": False, "concurrency": 0}
    assert policy_of(nothing, defaults) == policy_of({}, defaults)


def test_safe_rerun_of_a_task_stands_even_where_it_is_false():
    """Mistral: engine/tasks.py, _get_safe_rerun."""
    assert policy_of({"safe-rerun": False}, {"safe-rerun": True}).safe_rerun is False
    assert policy_of({}, {"safe-rerun": X}).safe_rerun == X


def test_faults_of_defaults_are_told_once():
    found = paths_of(definition_of({"a": {}, "b": {}}, task_defaults={"timeout": -1, "retry": {"count": "x"}}))
    assert found == ["/w/task-defaults/timeout", "/w/task-defaults/retry", "/w/task-defaults/retry/count"]
