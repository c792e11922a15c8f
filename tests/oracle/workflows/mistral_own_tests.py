"""The workflows of Mistral's own engine tests, read from its sources: nothing of them is imported."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KNOWN_ACTIONS = {"std.noop", "std.echo", "std.fail", "std.async_noop"}
ACTION = re.compile(r"^\s*(?:action|base)\s*:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
LATER = ("%s", "%d", "%(")
Skipped = Counter[str]


def jobs(directory: Path, skipped: Skipped) -> list[dict[str, Any]]:
    """Return a job for each workflow that a test starts, or that is in it; count in `skipped` why others are left out.

    :param directory: where the package `mistral` is installed
    """
    found = {}
    for path in sorted((directory / "tests" / "unit" / "engine").glob("test_*.py")):
        module = ast.parse(path.read_text())
        shared = _constants(module.body)
        for holder in [module, *(node for node in module.body if isinstance(node, ast.ClassDef))]:
            scope = shared | _constants(holder.body)
            for function in (node for node in holder.body if isinstance(node, ast.FunctionDef)):
                for job in _of_function(function, scope, skipped):
                    job["id"] = f"{path.stem}.{function.name}.{job['workflow']}"
                    found.setdefault((job["definition"], job["workflow"], str(job["input"]), str(job["params"])), job)
    return list(found.values())


def _constants(body: list[ast.stmt]) -> dict[str, Any]:
    """Return the plain values that names stand for."""
    found: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = _plain(statement.value, found)
            if value is not None:
                found[statement.targets[0].id] = value
    return found


def _plain(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return names.get(node.attr)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_plain(k, names): _plain(v, names) for k, v in zip(node.keys, node.values, strict=True) if k}
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _of_function(function: ast.FunctionDef, scope: dict[str, Any], skipped: Skipped) -> Iterator[dict[str, Any]]:
    names = scope | _constants(function.body)
    texts = list(_texts(function, names))
    if not texts:
        return
    if reason := _unfit(texts):
        skipped[reason] += 1
        return
    calls = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "start_workflow"
    ]
    started = [job for call in calls if (job := _start(call, names))]
    for job in started or [{"workflow": name, "input": {}, "params": {}} for name in _workflows(texts)]:
        yield {**job, "definition": texts[0], "also": texts[1:], "script": {}}


def _texts(function: ast.FunctionDef, names: dict[str, Any]) -> Iterator[str]:
    """Yield the definitions that a function names, in the order in which it creates them."""
    seen = set()
    for node in ast.walk(function):
        value = _plain(node, names) if isinstance(node, ast.Constant | ast.Name) else None
        if isinstance(value, str) and "version" in value and value not in seen and _document(value):
            seen.add(value)
            yield value


def _document(text: str) -> dict[str, Any] | None:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    fits = isinstance(document, dict) and "version" in document and len(document) > 1
    return document if fits else None


def _workflows(texts: list[str]) -> Iterator[str]:
    for document in map(_document, texts):
        assert document is not None
        if "workflows" in document and isinstance(document.get("name"), str):
            yield from (f"{document['name']}.{name}" for name in document["workflows"])
        else:
            yield from (name for name, body in document.items() if isinstance(body, dict) and "tasks" in body)


def _unfit(texts: list[str]) -> str | None:
    local = {name for text in texts for name in (_document(text) or {}).get("actions") or {}}
    for text in texts:
        if any(mark in text for mark in LATER):
            return "the definition is put together when the test runs"
        for action in ACTION.findall(text):
            if action not in KNOWN_ACTIONS | local and "<%" not in action and "{{" not in action:
                return f"the action {action}"
        if "base-input" not in text and not list(_workflows([text])):
            return "no workflow in it"
    return None


def _start(call: ast.Call, names: dict[str, Any]) -> dict[str, Any] | None:
    workflow = _plain(call.args[0], names) if call.args else None
    if not isinstance(workflow, str):
        return None
    values = {keyword.arg: _plain(keyword.value, names) for keyword in call.keywords if keyword.arg}
    params = {name: value for name, value in values.items() if name in ("env", "task_name") and value is not None}
    given = values.get("wf_input")
    return {"workflow": workflow, "input": given if isinstance(given, dict) else {}, "params": params}
