"""What schemathesis is kept from: requests that wait."""

import schemathesis

LONGEST_WAIT_SECONDS = 0.05


@schemathesis.hook
def before_call(context, case, kwargs):
    """Cut waits that the service would grant to almost nothing; what it has to refuse stays as it is."""
    for container in (case.query, case.body):
        wait = container.get("wait_seconds") if isinstance(container, dict) else None
        if isinstance(wait, int | float) and not isinstance(wait, bool) and 0 < wait <= 60:
            container["wait_seconds"] = LONGEST_WAIT_SECONDS
