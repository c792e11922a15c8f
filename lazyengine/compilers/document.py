"""Reading the text of a definition: YAML 1.1 as Mistral reads it, less what has no place in JSON."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from lazyengine.errors import DefinitionInvalid, Fault

BIGGEST = 4_000_000
"""Values that a document may come to once its aliases are written out."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _DocumentLoader(_Loader):  # type: ignore[misc]
    """A safe loader without dates and binaries, which refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' stands here twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


_DocumentLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def read(definition: str | dict[str, Any]) -> dict[str, Any]:
    """Turn the text of a definition into its document; a document passes as it is.

    :raises DefinitionInvalid: it is not YAML, has duplicate keys, or its aliases make it enormous
    """
    if isinstance(definition, dict):
        return definition
    try:
        document = _load(definition)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise _refused(f"{place}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise _refused(re.sub(r"\s+", " ", str(error))) from None
    except (ValueError, RecursionError, OverflowError, AttributeError, TypeError) as error:
        raise _refused(f"a value cannot be read: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise _refused("a definition is an object: a version and workflows by name")
    return document


def _load(text: str) -> Any:
    loader = _DocumentLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if "*" in text:
            _check_size(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_size(root: yaml.Node) -> None:
    """Count the values that a document comes to once its aliases are written out, without writing them out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if id(node) in sizes:
            continue
        children = _children(node)
        if done:
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
            open_nodes.discard(id(node))
            if sizes[id(node)] > BIGGEST:
                raise _refused(f"its aliases make it larger than {BIGGEST} values")
            continue
        if id(node) in open_nodes:
            raise _refused("an alias refers to something that contains it")
        open_nodes.add(id(node))
        stack.append((node, True))
        for child in children:
            if id(child) in open_nodes:
                raise _refused("an alias refers to something that contains it")
            stack.append((child, False))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refused(message: str) -> DefinitionInvalid:
    return DefinitionInvalid([Fault("", message)])
