"""Pictures of what can run, before it runs: a TaskFlow flow, or a workflow of a definition."""

from typing import TYPE_CHECKING, Any

from lazyengine.compilers.workflow import compile_definition
from lazyengine.pictures import picture, write
from lazyengine.settings import Settings

if TYPE_CHECKING:
    from taskflow.flow import Flow


def draw(what: "Flow | str | dict[str, Any]", format: str = "mermaid", workflow: str | None = None) -> str:
    """Draw a flow, or a workflow definition (YAML, or the document), as "dot" (Graphviz) or "mermaid".

    :param workflow: which of the definition, if it has several
    :raises ValueError: there is no such format
    :raises DefinitionInvalid: with every fault found
    :raises WorkflowNotFound: the definition has no such workflow
    """
    if isinstance(what, str | dict):
        settings = Settings()
        _, nodes = compile_definition(what, workflow, settings.default_action, settings.max_tasks)
        return write(picture(nodes), format)
    from lazyengine.compilers.flow import compile_flow  # only here: TaskFlow is an extra

    return write(picture(compile_flow(what).nodes), format)
