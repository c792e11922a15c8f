"""One call of the library door in a process of its own: `python -m tests.integration.library.verbs STORE VERB ...`.

STORE is JSON: a URL, or what TaskFlow makes a persistence backend from; there, an execution is fetched from the backend
and given as a FlowDetail.  The answer is printed as JSON at once; the process ends when what it runs has ended.
"""

import json
import sys
from contextlib import closing
from typing import Any

from lazyengine.controller import Controller
from tests.integration.library import process_flows


def execution_of(controller: Controller, store: Any, id: str) -> Any:
    if isinstance(store, str):
        return id
    with closing(controller.store.backend.get_connection()) as connection:
        return connection.get_flow_details(id)


def call(controller: Controller, store: Any, verb: str, *arguments: Any) -> Any:
    if verb == "start":
        name, given = arguments
        return controller.start(getattr(process_flows, name), store=given)
    execution = execution_of(controller, store, arguments[0])
    if verb == "resume":
        return controller.start(execution=execution)
    return getattr(controller, verb)(execution, *arguments[1:])


def main() -> None:
    store, verb, *arguments = map(json.loads, sys.argv[1:])
    known = (
        (process_flows.one_two_three, process_flows.branches, process_flows.mortal) if isinstance(store, str) else ()
    )
    with Controller(store, flows=known) as controller:
        answer = call(controller, store, verb, *arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
