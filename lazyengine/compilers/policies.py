"""What happens around the runs of a task: retry, waits, timeout and the like.

Source: Mistral's `lang/v2/policies.py`, `lang/v2/retry_policy.py`, and `engine/policies.py`, construct_policies_list.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from lazyengine.compilers.calls import CallError, parse_parameters
from lazyengine.compilers.expressions import compile_template
from lazyengine.compilers.faults import Faults, Path, check_keys, is_object, shown
from lazyengine.compilers.literals import is_expression
from lazyengine.core.graph import NO_POLICY, Policy, Retry

MOST_SECONDS = 10 * 365 * 24 * 60 * 60
MOST_TIMES = 1_000_000

Read = Callable[[Faults, Path, Any], Any]


def _number(most: int) -> Read:
    def read(faults: Faults, path: Path, value: Any) -> int | str:
        if isinstance(value, str) and is_expression(value):
            compile_template(faults, path, value)
            return value
        if type(value) is int and 0 <= value <= most:
            return value
        faults.add(path, f"a whole number from 0 to {most} stands here, or an expression, not {shown(value)}")
        return 0

    return read


def _truth(faults: Faults, path: Path, value: Any) -> bool | str:
    if isinstance(value, str) and is_expression(value):
        compile_template(faults, path, value)
        return value
    if isinstance(value, bool):
        return value
    faults.add(path, f"a boolean stands here, or an expression, not {shown(value)}")
    return False


def _keep(faults: Faults, path: Path, value: Any) -> bool:
    """An expression is never evaluated and counts as true (Mistral: `engine/tasks.py`, complete)."""
    return bool(_truth(faults, path, value))


def _retry(faults: Faults, path: Path, value: Any) -> Retry | None:
    """Read an object, or its members as one line."""
    if isinstance(value, str):
        inner = faults.inside()
        try:
            found = _retry_of(inner, (), parse_parameters(value))
        except CallError as error:
            faults.add(path, str(error))
            return None
        for fault in inner.found:
            faults.add(path, f"{fault.message} ({fault.path.removeprefix('/') or 'retry'})")
        return found
    return _retry_of(faults, path, value) if is_object(faults, path, value, "retry") else None


_RETRY: Mapping[str, tuple[str, Read]] = {
    "count": ("count", _number(MOST_TIMES)),
    "delay": ("delay_seconds", _number(MOST_SECONDS)),
    "break-on": ("break_on", _truth),
    "continue-on": ("continue_on", _truth),
}


def _retry_of(faults: Faults, path: Path, spec: dict[str, Any]) -> Retry:
    check_keys(faults, path, spec, _RETRY.keys())
    for key in ("count", "delay"):
        if key not in spec:
            faults.add(path, f"retry needs '{key}'")
    found = {name: read(faults, (*path, key), spec[key]) for key, (name, read) in _RETRY.items() if key in spec}
    return Retry(**{"count": 0, **found})


_POLICIES: Mapping[str, tuple[str, Read]] = {
    "pause-before": ("pause_before", _truth),
    "wait-before": ("wait_before_seconds", _number(MOST_SECONDS)),
    "wait-after": ("wait_after_seconds", _number(MOST_SECONDS)),
    "timeout": ("timeout_seconds", _number(MOST_SECONDS)),
    "concurrency": ("concurrency", _number(MOST_TIMES)),
    "fail-on": ("fail_on", _truth),
    "retry": ("retry", _retry),
    "keep-result": ("keep_result", _keep),
    "safe-rerun": ("safe_rerun", _truth),
}
POLICY_KEYS = frozenset(_POLICIES)
DEFAULT_POLICY_KEYS = POLICY_KEYS - {"keep-result"}


class Policies:
    """Reads the policies of the tasks of one workflow; what is wrong is added to `faults`."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.defaults: dict[str, Any] = {}
        self.default = NO_POLICY
        self.weight = 0

    def read_defaults(self, path: Path, spec: Mapping[str, Any]) -> None:
        self.defaults = self._read(path, spec, DEFAULT_POLICY_KEYS)
        self.default = replace(NO_POLICY, **self.defaults)
        self.weight = sum(map(_length, self.defaults.values())) // 64

    def read(self, path: Path, spec: Mapping[str, Any]) -> Policy:
        """Return the policy of a task; a default stands in for what the task has not, or has as 0 or false.

        Only `safe-rerun: false` stands against its default (Mistral: `engine/tasks.py`, _get_safe_rerun).
        """
        if POLICY_KEYS.isdisjoint(spec):
            return self.default
        own = self._read(path, spec, POLICY_KEYS)
        given = {name: value for name, value in own.items() if value or name in ("safe_rerun", "keep_result")}
        return replace(self.default, **given)

    def _read(self, path: Path, spec: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
        return {
            name: read(self.faults, (*path, key), spec[key])
            for key, (name, read) in _POLICIES.items()
            if key in keys and spec.get(key) is not None
        }


def _length(value: Any) -> int:
    if isinstance(value, Retry):
        return sum(_length(getattr(value, field.name)) for field in fields(value))
    return len(value) if isinstance(value, str) else 0
