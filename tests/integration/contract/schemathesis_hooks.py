"""What schemathesis cannot know from types: which definitions can run; and what would only cost time: waiting."""

import schemathesis

LONGEST_WAIT_SECONDS = 0.05
DEFINITION = {"w": {"tasks": {"split": {"on-success": ["left", "right"]}, "left": {}, "right": {}}}}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Make valid starts such that can run, and cut waits to almost nothing; what has to be refused stays as it is."""
    positive = case.meta and case.meta.generation.mode.is_positive
    if case.operation.label == "POST /executions" and positive:
        case.body.update(definition=DEFINITION, workflow="w", input={})
        case.body.pop("namespace", None)  # is for stored workflows
        case.body.get("params", {}).pop("default_action", None)  # a call, which has a grammar of its own
    elif case.operation.label in ("POST /workflows", "PUT /workflows") and positive:
        case.body.update(definition=DEFINITION)
    elif case.operation.label == "POST /executions/{execution_id}/rerun" and positive:
        case.body["task"] = "split"
        if case.body.get("skip"):
            case.body.pop("input", None)  # is for a task that runs
    if positive and case.operation.label == "GET /executions/{execution_id}/events":
        (case.query or {}).pop("format", None)  # a stream lasts as long as its execution
    if positive and case.operation.label == "PUT /callbacks/{token}":
        case.body.pop("attempt", None)  # is that of the URL
    for container in (case.query, case.body):
        wait = container.get("wait_seconds") if isinstance(container, dict) else None
        if isinstance(wait, int | float) and not isinstance(wait, bool) and 0 < wait <= 60:
            container["wait_seconds"] = LONGEST_WAIT_SECONDS
