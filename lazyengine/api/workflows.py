"""Workflows: store, look at, delete, check."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyengine.api import answers, requests
from lazyengine.api.executions import DATABASE
from lazyengine.api.listing import DEFAULT_LIMIT, LIMIT, MAX_LIMIT, Listing, listing
from lazyengine.api.operation import Answer, Parameter, Segment, operation
from lazyengine.api.request import Request
from lazyengine.api.requests import NAMESPACE
from lazyengine.api.types import Integer, Name, Scalar
from lazyengine.errors import DefinitionInvalid, Fault, FlowUnusable, WorkflowExists, WorkflowNotFound
from lazyengine.records import StoredWorkflow, WorkflowQuery, WorkflowsStored

if TYPE_CHECKING:
    from lazyengine.engine import Engine

PATH = "/workflows/{workflow_name}"


class Marker(Scalar):
    """The namespace and the name of a stored workflow, parted by the last slash: a name holds none."""

    name = "marker"
    expected = "the marker of a link next"

    def frombasetype(self, value: Any) -> Any:
        namespace, slash, name = value.rpartition("/")
        if not slash:
            raise self.misfit()
        return NAMESPACE.frombasetype(namespace), requests.NAME.frombasetype(name)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]{0,255}/[^/\\u0000]{1,255}$"}


WORKFLOW_NAME = Segment(
    "workflow_name", Name(), "The workflow.", absent=lambda texts: WorkflowNotFound.stored(texts["workflow_name"])
)
WHERE = Parameter("namespace", NAMESPACE, "Where it is stored; in the default namespace, if left out.")
REVISION = Parameter("revision", Integer(1), "Which revision; the newest if left out.")
LIST_PARAMETERS = (
    Parameter("namespace", NAMESPACE, "Those of this namespace; the empty name is the default one."),
    Parameter("tag", requests.NAME, "Those whose newest revision has this tag."),
    LIMIT,
    Parameter("marker", Marker(), "Where the page before ended, as its link next says."),
)


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with a definition."""

    valid: bool
    faults: tuple[Fault, ...]


class Workflows:
    """The controller of stored workflows."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    @operation(
        "POST",
        "/workflows",
        answers.StoredWorkflows,
        body=requests.WorkflowDefinition,
        statuses={201: "They were stored.", 200: "All of them had been stored with this definition before."},
        errors=(DefinitionInvalid, WorkflowExists, *DATABASE),
    )
    def store_workflows(self, request: Request, body: requests.WorkflowDefinition) -> Answer:
        """Store every workflow of a definition.

        All of them or, if one is there with another definition, none.
        """
        stored = self._engine.store_workflows(request.owner, body.definition, body.namespace)
        return Answer(stored, 201 if stored.created else 200, (("Location", f"{request.application_url}/workflows"),))

    @operation(
        "PUT",
        "/workflows",
        answers.StoredWorkflows,
        body=requests.WorkflowDefinition,
        errors=(DefinitionInvalid, *DATABASE),
    )
    def replace_workflows(self, request: Request, body: requests.WorkflowDefinition) -> WorkflowsStored:
        """Store every workflow of a definition, as a new revision where it is stored already.

        The same definition again makes no new revision.  Executions go on with the revision that they began with.
        """
        return self._engine.replace_workflows(request.owner, body.definition, body.namespace)

    @operation("GET", "/workflows", answers.WorkflowList, parameters=LIST_PARAMETERS, errors=DATABASE)
    def list_workflows(
        self,
        request: Request,
        namespace: str | None = None,
        tag: str | None = None,
        limit: int = DEFAULT_LIMIT,
        marker: tuple[str, str] | None = None,
    ) -> Listing:
        """List stored workflows by namespace and name, the newest revision of each.

        Flows that are registered with the service stand among those of the default namespace, until one of the same
        name is stored.  Definitions are left out.
        """
        query = WorkflowQuery(namespace, min(limit, MAX_LIMIT), marker, tag)
        page = self._engine.list_workflows(request.owner, query)
        return listing(request, page, lambda workflow: f"{workflow.namespace}/{workflow.declaration.name}")

    @operation(
        "GET",
        PATH,
        answers.Workflow,
        segments=(WORKFLOW_NAME,),
        parameters=(WHERE, REVISION),
        errors=(WorkflowNotFound, FlowUnusable, *DATABASE),
    )
    def get_workflow(
        self, request: Request, workflow_name: str, namespace: str = "", revision: int | None = None
    ) -> StoredWorkflow:
        """Look at a stored workflow, or a flow that is registered with the service."""
        return self._engine.get_workflow(request.owner, workflow_name, namespace, revision)

    @operation(
        "DELETE",
        PATH,
        None,
        segments=(WORKFLOW_NAME,),
        parameters=(WHERE,),
        statuses={204: "It is gone, with all its revisions."},
        errors=(WorkflowNotFound, *DATABASE),
    )
    def delete_workflow(self, request: Request, workflow_name: str, namespace: str = "") -> None:
        """Delete a stored workflow.

        Executions of it go on.
        """
        self._engine.delete_workflow(request.owner, workflow_name, namespace)

    @operation("POST", "/workflows/validate", answers.Validation, body=requests.WorkflowCandidate)
    def validate_definition(self, request: Request, body: requests.WorkflowCandidate) -> Validation:
        """Check a definition and tell every fault; nothing is stored."""
        faults = self._engine.validate_definition(body.definition)
        return Validation(not faults, faults)
