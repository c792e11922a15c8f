"""One call of the library door, for a process of its own."""

from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any

from lazyengine import errors
from lazyengine.controller import Controller
from tests.integration.library import process_flows

FLOWS = (process_flows.one_two_three, process_flows.branches, process_flows.mortal)


def execution_of(controller: Controller, store: Any, id: str) -> Any:
    """Return what an execution is given as: its id, or from TaskFlow's persistence a FlowDetail that was fetched."""
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


def make(answers: Connection, store: Any, verb: str, *arguments: Any) -> None:
    """Make a call and tell its answer at once, as (answer, None) or (None, name of the error).

    It returns when what it runs has ended.

    :param store: a URL, or what TaskFlow makes a persistence backend from
    """
    with Controller(store, flows=FLOWS if isinstance(store, str) else ()) as controller:
        try:
            answers.send((call(controller, store, verb, *arguments), None))
        except errors.LazyEngineError as error:
            answers.send((None, type(error).__name__))
