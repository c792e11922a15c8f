"""Statements about stored workflows; the index (owner, namespace, name, revision) serves all that look for some.

A tag is found by the index (tag, workflow_id).

Two transactions that make the same revision, or store the same definition, meet at a unique key, and the second one
starts again; so does whoever refers to a definition that is being deleted.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, literal, select, tuple_, update

from lazyengine.db import tables as t
from lazyengine.db.direct import batches
from lazyengine.db.types import Name
from lazyengine.records import Declaration, DeclaredInput, Page, StoredWorkflow, WorkflowQuery

LONGEST_TAG = 255

_workflow = t.workflow.c
_definition = t.definition.c
_tag = t.workflow_tag.c
_NOT_ASKED_FOR = re.compile(r"[\x00\ud800-\udfff]")
_other = t.workflow.alias("other")
_is_newest = (
    _workflow.revision
    == select(func.max(_other.c.revision))
    .where(*(_other.c[name] == _workflow[name] for name in ("owner", "namespace", "name")))
    .correlate(t.workflow)
    .scalar_subquery()
)


def newest_workflows(
    connection: Connection, owner: str, namespace: str, names: Iterable[str]
) -> dict[str, StoredWorkflow]:
    """Return the newest revision of each of these workflows that is there, by name, without its definition."""
    return {
        row.name: _stored(row)
        for batch in batches(names)
        for row in connection.execute(
            select(t.workflow).where(
                _workflow.owner == owner, _workflow.namespace == namespace, _workflow.name.in_(batch), _is_newest
            )
        )
    }


def read_workflow(
    connection: Connection, owner: str, namespace: str, name: str, revision: int | None
) -> StoredWorkflow | None:
    """Return a revision of a workflow (None: the newest) with its definition."""
    statement = (
        select(t.workflow, _definition.document)
        .join(t.definition, _definition.digest == _workflow.definition_digest)
        .where(*_named(owner, namespace, name))
    )
    if revision is not None:
        statement = statement.where(_workflow.revision == revision)
    row = connection.execute(statement.order_by(_workflow.revision.desc()).limit(1)).first()
    return _stored(row, row.document) if row else None


def read_definition(connection: Connection, digest: str) -> str | dict[str, Any] | None:
    """Return a definition by its digest."""
    found: str | dict[str, Any] | None = connection.execute(
        select(_definition.document).where(_definition.digest == digest)
    ).scalar_one_or_none()
    return found


def keep_definition(connection: Connection, digest: str, document: str | dict[str, Any] | None = None) -> None:
    """Keep a definition for executions that may look for workflows in it; `document` if it may not be there yet."""
    found = connection.execute(select(_definition.is_kept).where(_definition.digest == digest)).first()
    if found is None and document is not None:
        connection.execute(insert(t.definition).values(digest=digest, document=document, is_kept=1))
    elif found is not None and not found.is_kept:
        connection.execute(update(t.definition).where(_definition.digest == digest).values(is_kept=1))


def list_workflows(connection: Connection, owner: str, query: WorkflowQuery) -> Page[StoredWorkflow]:
    """Return one page of the newest revisions, without definitions, ordered by namespace and name."""
    statement = select(t.workflow).where(_workflow.owner == owner, _is_newest)
    if query.namespace is not None:
        statement = statement.where(_workflow.namespace == query.namespace)
    if query.tag is not None:
        statement = statement.where(_workflow.id.in_(select(_tag.workflow_id).where(_tag.tag == query.tag)))
    if query.marker is not None:
        place = tuple_(*(literal(part, Name()) for part in query.marker))
        statement = statement.where(tuple_(_workflow.namespace, _workflow.name) > place)
    ordered = statement.order_by(_workflow.namespace, _workflow.name).limit(query.limit + 1)
    rows = connection.execute(ordered).all()
    return Page(tuple(map(_stored, rows[: query.limit])), len(rows) > query.limit)


def add_workflows(
    connection: Connection, owner: str, document: str | dict[str, Any], workflows: Sequence[StoredWorkflow]
) -> None:
    """Insert revisions that share a definition, and the definition, unless it is there already."""
    digest = workflows[0].definition_digest
    if connection.execute(select(_definition.digest).where(_definition.digest == digest)).first() is None:
        connection.execute(insert(t.definition).values(digest=digest, document=document))
    rows = [
        {
            "owner": owner,
            "namespace": workflow.namespace,
            "name": workflow.declaration.name,
            "revision": workflow.revision,
            "definition_digest": digest,
            "declaration": asdict(workflow.declaration),
            "created_at": workflow.created_at,
        }
        for workflow in workflows
    ]
    connection.execute(insert(t.workflow), rows)
    _add_tags(connection, owner, workflows)


def _add_tags(connection: Connection, owner: str, workflows: Sequence[StoredWorkflow]) -> None:
    """Insert the tags of newest revisions, but for those that nobody could ask for."""
    tagged = {one.declaration.name: one.declaration.tags for one in workflows if one.declaration.tags}
    rows = [
        {"workflow_id": row.id, "tag": tag}
        for batch in batches(tagged)
        for row in connection.execute(
            select(_workflow.id, _workflow.name).where(
                _workflow.owner == owner,
                _workflow.namespace == workflows[0].namespace,
                _workflow.name.in_(batch),
                _is_newest,
            )
        )
        for tag in dict.fromkeys(tagged[row.name])
        if len(tag) <= LONGEST_TAG and not _NOT_ASKED_FOR.search(tag)
    ]
    if rows:
        connection.execute(insert(t.workflow_tag), rows)


def delete_workflow(connection: Connection, owner: str, namespace: str, name: str) -> bool:
    """Delete all revisions of a workflow, and definitions that nothing needs any more; False if there is none."""
    where = _named(owner, namespace, name)
    digests = connection.execute(select(_workflow.definition_digest).where(*where).distinct()).scalars().all()
    for batch in batches(digests):  # whoever deletes the other workflows of a definition waits, and then sees to it
        of_batch = select(_definition.digest).where(_definition.digest.in_(batch))
        connection.execute(of_batch.order_by(_definition.digest).with_for_update())
    connection.execute(delete(t.workflow_tag).where(_tag.workflow_id.in_(select(_workflow.id).where(*where))))
    connection.execute(delete(t.workflow).where(*where))
    for batch in batches(digests):
        still_used = exists().where(_workflow.definition_digest == _definition.digest)
        connection.execute(
            delete(t.definition).where(_definition.digest.in_(batch), _definition.is_kept.is_(None), ~still_used)
        )
    return bool(digests)


def _named(owner: str, namespace: str, name: str) -> tuple[Any, ...]:
    return (_workflow.owner == owner, _workflow.namespace == namespace, _workflow.name == name)


def _stored(row: Row[Any], document: Any = None) -> StoredWorkflow:
    told = row.declaration
    inputs = tuple(DeclaredInput(**one) for one in told["input"])
    return StoredWorkflow(
        namespace=row.namespace,
        revision=row.revision,
        definition_digest=row.definition_digest,
        created_at=row.created_at,
        declaration=Declaration(told["name"], inputs, tuple(told["tags"]), told["description"]),
        definition=document,
    )
