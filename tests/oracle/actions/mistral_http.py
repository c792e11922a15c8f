"""Run by Mistral's Python: sends what it reads with Mistral's own `std.http`, and writes how each ended."""

import json
import sys
from types import SimpleNamespace

from mistral.db.v2 import api  # noqa: F401  isort: skip - as in its server: the rest is not found otherwise
from mistral.actions import std_actions
from oslo_config import cfg

cfg.CONF([], project="mistral")
cfg.CONF.set_override("denied_cidrs", [], "action_std_http")
context = SimpleNamespace(execution=SimpleNamespace(action_execution_id="one"))


def outcome(case):
    try:
        result = std_actions.HTTPAction(**case).run(context)
    except Exception as error:
        return {"kind": "exception", "error": str(error)}
    error = getattr(result, "error", None)
    found = error if error is not None else result
    if isinstance(found["content"], bytes):
        found["content"] = found["content"].decode("utf-8", "replace")
    return {"kind": "failure" if error is not None else "success", "result": found}


print(json.dumps([outcome(case) for case in json.load(sys.stdin)], default=str))
