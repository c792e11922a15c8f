"""Graphs: what an execution runs, as data and as pictures."""

from typing import TYPE_CHECKING

from lazyengine.api import answers
from lazyengine.api.executions import DATABASE, EXECUTION_ID, PATH
from lazyengine.api.operation import Parameter, operation
from lazyengine.api.request import Request
from lazyengine.api.types import Choice
from lazyengine.errors import ExecutionNotFound, GraphTooLarge
from lazyengine.pictures import Picture, write

if TYPE_CHECKING:
    from lazyengine.engine import Engine

TEXTS = {"dot": "text/vnd.graphviz", "mermaid": "text/plain"}
FORMAT = Parameter(
    "format",
    Choice({word: word for word in ("json", *TEXTS)}),
    "Data, if left out, or the text of a picture for Graphviz or for Mermaid; Accept has to admit its type.",
)


class Graphs:
    """The controller of graphs."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    @operation(
        "GET",
        PATH + "/graph",
        answers.Graph,
        segments=(EXECUTION_ID,),
        parameters=(FORMAT,),
        errors=(ExecutionNotFound, GraphTooLarge, *DATABASE),
        texts=TEXTS,
    )
    def get_graph(self, request: Request, execution_id: str, format: str = "json") -> Picture | str:
        """Show the graph of an execution, with the newest run of every task.

        For graphs of at most 1000 tasks and 10000 edges.
        """
        graph = self._engine.get_graph(request.owner, execution_id)
        return graph if format == "json" else write(graph, format)
