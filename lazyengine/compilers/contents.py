"""What a definition consists of: workflows by name, or a workbook (Mistral: `lang/v2/workbook.py`).

A workbook has a `name` and `workflows`; each of them is called `<workbook>.<workflow>` from outside
(Mistral: `services/workbooks.py`).
"""

from dataclasses import dataclass
from typing import Any

from lazyengine.compilers.faults import Faults, Path, kind, shown
from lazyengine.compilers.literals import check_literal
from lazyengine.compilers.names import LONGEST_NAME, check_name
from lazyengine.records import Declaration, DeclaredInput

WORKBOOK_KEYS = {"version", "name", "description", "tags", "workflows", "actions"}


@dataclass(frozen=True, slots=True)
class Source:
    """A workflow as it is written.

    :param name: what it is called from outside
    :param path: its place in the document
    :param book: the workbook that it stands in, or ''
    """

    name: str
    path: Path
    spec: Any
    book: str = ""


def workflows_of(document: dict[Any, Any], faults: Faults) -> list[Source]:
    """List the workflows of a document, in its order; adds a fault where there is none."""
    if document.get("version", "2.0") not in ("2.0", "2", 2):
        faults.add(("version",), f"version has to be '2.0', not {shown(document['version'])}")
    if is_workbook(document):
        return _of_workbook(document, faults)
    if "tasks" in document:
        faults.add(("tasks",), "'tasks' belongs into a workflow: name: {tasks: ...}")
        return []
    names = [name for name in document if name != "version" and not _is_remark(name, document[name])]
    if not names:
        faults.add((), "there is no workflow in it")
    for name in names:
        check_name(faults, (str(name),), name, "a workflow", in_path=True)
    return [Source(str(name), (str(name),), document[name]) for name in names]


def is_workbook(document: dict[Any, Any]) -> bool:
    return "workflows" in document or "actions" in document


def _is_remark(name: Any, value: Any) -> bool:
    return name in ("name", "description") and isinstance(value, str)


def _of_workbook(document: dict[Any, Any], faults: Faults) -> list[Source]:
    for key in document:
        if key not in WORKBOOK_KEYS:
            known = ", ".join(sorted(WORKBOOK_KEYS))
            faults.add((str(key),), f"unknown key; known in a workbook ('workflows', 'actions') are {known}")
    if "name" not in document:
        faults.add((), "a workbook ('workflows', 'actions') has a name")
    book = document.get("name")
    named = "name" in document and check_name(faults, ("name",), book, "a workbook", in_path=True)
    check_about(faults, (), document)
    workflows = document.get("workflows")
    if not isinstance(workflows, dict) or not workflows.keys() - {"version"}:
        found = "none" if isinstance(workflows, dict | None) else kind(workflows)
        faults.add(("workflows",) if "workflows" in document else (), f"a workbook has workflows by name, not {found}")
        return []
    sources = []
    for name, spec in workflows.items():
        path: Path = ("workflows", str(name))
        if name == "version":
            continue
        full = f"{book}.{name}"
        sources.append(Source(full, path, spec, str(book)))
        if check_name(faults, path, name, "a workflow", in_path=True) and named and len(full) > LONGEST_NAME:
            faults.add(path, f"the names of workbook and workflow together have at most {LONGEST_NAME - 1} characters")
    return sources


def check_about(faults: Faults, path: Path, spec: dict[Any, Any]) -> None:
    """Check what people say of a workflow or a workbook (Mistral: `lang/v2/base.py`)."""
    description, tags = spec.get("description"), spec.get("tags")
    if not isinstance(description, str | None):
        faults.add((*path, "description"), f"a description is a string, not {kind(description)}")
    if not isinstance(tags, list | None):
        faults.add((*path, "tags"), f"tags is a list of strings, not {kind(tags)}")
        return
    for index, tag in enumerate(tags or ()):
        if not isinstance(tag, str):
            faults.add((*path, "tags", index), f"a tag is a string, not {shown(tag)}")


def read_declared(faults: Faults, path: Path, entries: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read declared inputs: a name that has to be given, or {name: default}; a default is never evaluated.

    Source: Mistral's `mistral_lib/utils`, get_dict_from_entries.
    """
    defaulted: dict[str, Any] = {}
    required: dict[str, None] = {}
    if entries is not None and not isinstance(entries, list):
        faults.add(path, f"input is a list of names, or of {{name: default}}, not {kind(entries)}")
        return defaulted, ()
    for index, entry in enumerate(entries or []):
        here: Path = (*path, index)
        is_default = isinstance(entry, dict) and len(entry) == 1
        name = next(iter(entry)) if is_default else entry
        if not isinstance(name, str) or not name:
            faults.add(here, f"an input is a name or {{name: default}}, not {kind(entry)}")
        elif name in required or name in defaulted:
            faults.add(here, f"the input {shown(name)} is declared twice")
        elif is_default:
            check_literal(faults, (*here, name), entry[name])
            defaulted[name] = entry[name]
        else:
            required[name] = None
    return defaulted, tuple(required)


def declaration_of(source: Source) -> Declaration:
    """Tell what a workflow without faults says of itself."""
    spec = source.spec
    inputs = []
    for entry in spec.get("input") or ():
        if isinstance(entry, dict):
            ((name, default),) = entry.items()
            inputs.append(DeclaredInput(name, False, default))
        else:
            inputs.append(DeclaredInput(entry, True))
    return Declaration(source.name, tuple(inputs), tuple(spec.get("tags") or ()), spec.get("description") or "")
