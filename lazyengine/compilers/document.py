"""Reading the text of a definition: YAML 1.1 as Mistral reads it, less what has no place in JSON.

Theory of operation:

1. PyYAML gives the events of a text one by one.  They are put together here, because its own composer recurses in C
   (a thousand brackets kill the process), and because it notices an alias bomb and a double key late or not at all.
2. `_Builder` keeps the lists and objects that are open; what an anchor names becomes known when it is complete, so an
   alias can share but never contain itself.
3. Everything is counted as it comes, an alias as much as what it stands for: nothing large is built before it is
   refused.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from lazyengine.compilers.faults import DEEPEST, Faults, cut
from lazyengine.errors import DefinitionInvalid

MOST_VALUES = 1_000_000
"""Values that a text may come to, its aliases written out."""

MOST_ALIASED = 8_000_000
"""Characters that aliases may stand for, all together."""

LONGEST_NUMBER = 1_000

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG = "tag:yaml.org,2002:"
_STR, _MERGE = _TAG + "str", _TAG + "merge"
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_SCALARS: dict[str, Any] = {
    _TAG + "null": _CONSTRUCTOR.construct_yaml_null,
    _TAG + "bool": _CONSTRUCTOR.construct_yaml_bool,
    _TAG + "int": _CONSTRUCTOR.construct_yaml_int,
    _TAG + "float": _CONSTRUCTOR.construct_yaml_float,
}
_IMPLICIT: dict[str, list[tuple[str, re.Pattern[str]]]] = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _SCALARS or tag == _MERGE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
"""By first character: which plain scalars are no strings.  Dates are strings here."""

_MERGING: Any = object()
"""Stands for the key `<<` while an object is open."""


def read(definition: str | dict[str, Any]) -> dict[str, Any]:
    """Turn the text of a definition into its document; a document passes as it is.

    Cost: linear in the text.

    :raises DefinitionInvalid: it is not YAML, has duplicate keys, is nested too deep or its aliases make it enormous
    """
    if isinstance(definition, dict):
        return definition
    try:
        document = _load(definition)
    except yaml.MarkedYAMLError as error:
        raise _refused(f"{_place(error.problem_mark)}{error.problem or error.context}") from None
    except UnicodeEncodeError as error:
        line = definition.count("\n", 0, error.start) + 1
        raise _refused(f"line {line}: a lone surrogate is not a character") from None
    except yaml.YAMLError as error:
        raise _refused(re.sub(r"\s+", " ", str(error))) from None
    if not isinstance(document, dict):
        raise _refused("a definition is an object: a version and workflows by name")
    return document


def _load(text: str) -> Any:
    parser = _Parser(text)
    builder = _Builder()
    try:
        while not isinstance(event := parser.get_event(), yaml.StreamEndEvent):
            builder.take(event)
        return builder.document
    finally:
        parser.dispose()


@dataclass(slots=True)
class _Open:
    """A list or an object that is not complete yet.

    :param key: the key that waits for its value, if `has_key`
    :param merged: the objects under `<<`, the strongest last
    :param values: what the builder had counted before it
    :param characters: the same
    """

    value: Any
    anchor: str | None
    values: int
    characters: int
    is_object: bool
    has_key: bool = False
    key: Any = None
    merged: list[dict[Any, Any]] | None = None


@dataclass(slots=True)
class _Anchored:
    """What an anchor names, and what an alias of it counts: values and characters; `complete` when all is there."""

    complete: bool = False
    value: Any = None
    values: int = 0
    characters: int = 0


@dataclass(slots=True)
class _Builder:
    """The document in the making.

    :param values: counted so far, aliases written out
    :param characters: of scalars, aliases written out
    :param aliased: the part of `characters` that aliases stand for
    """

    document: Any = None
    documents: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    values: int = 0
    characters: int = 0
    aliased: int = 0

    def take(self, event: yaml.Event) -> None:
        """Put the next event in its place.

        :raises MarkedYAMLError: it has none
        """
        if isinstance(event, yaml.ScalarEvent):
            self.count(event, 1, len(event.value))
            self.put(event, self.scalar(event), event.anchor, 1, len(event.value))
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self.start(event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self.end(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _error(event, "a second document begins; a definition is one")

    def start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        is_object = isinstance(event, yaml.MappingStartEvent)
        if self.open and self.open[-1].is_object and not self.open[-1].has_key:
            raise _error(event, "a key is a list or an object")
        if len(self.open) >= DEEPEST:
            raise _error(event, f"nested deeper than {DEEPEST}")
        if event.tag not in (None, "!", _TAG + ("map" if is_object else "seq")):
            raise _error(event, f"the tag '{event.tag}' has no place here")
        if event.anchor:
            self.anchors[event.anchor] = _Anchored()
        self.open.append(_Open({} if is_object else [], event.anchor, self.values, self.characters, is_object))
        self.count(event, 1, 0)

    def end(self, event: yaml.Event) -> None:
        done = self.open.pop()
        value = done.value
        if done.merged is not None:
            value = {}
            for part in [*done.merged, done.value]:
                value.update(part)
        self.put(event, value, done.anchor, self.values - done.values, self.characters - done.characters)

    def alias(self, event: yaml.AliasEvent) -> None:
        name = str(event.anchor)
        anchored = self.anchors.get(name)
        if anchored is None:
            raise _error(event, f"nothing is anchored as '{cut(name, 40)}'")
        if not anchored.complete:
            raise _error(event, "an alias refers to something that contains it")
        self.aliased += anchored.characters
        self.count(event, anchored.values, anchored.characters)
        self.put(event, anchored.value)

    def count(self, event: yaml.Event, values: int, characters: int) -> None:
        self.values += values
        self.characters += characters
        if self.values > MOST_VALUES:
            raise _error(event, f"a definition comes to at most {MOST_VALUES} values, aliases written out")
        if self.aliased > MOST_ALIASED:
            raise _error(event, f"aliases stand for at most {MOST_ALIASED} characters, all together")

    def put(
        self, event: yaml.Event, value: Any, anchor: str | None = None, values: int = 0, characters: int = 0
    ) -> None:
        """Put a complete value where it belongs: into what is open, as key or as value."""
        if anchor:
            self.anchors[anchor] = _Anchored(True, value, values, characters)
        if not self.open:
            self.document = value
            return
        into = self.open[-1]
        if not into.is_object:
            into.value.append(value)
        elif not into.has_key:
            self.put_key(event, into, value)
        else:
            into.has_key = False
            if into.key is _MERGING:
                into.merged = _merged(event, value)
            else:
                into.value[into.key] = value

    def put_key(self, event: yaml.Event, into: _Open, key: Any) -> None:
        if isinstance(key, dict | list):
            raise _error(event, "a key is a list or an object")
        if key in into.value or (key is _MERGING and into.merged is not None):
            name = "<<" if key is _MERGING else cut(str(key), 40)
            raise _error(event, f"the key '{name}' stands here twice")
        into.has_key, into.key = True, key

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        tag, text = event.tag, event.value
        if tag in (None, "!"):
            tag = _implicit(text) if event.implicit[0] else _STR
        if tag == _STR:
            return text
        if tag == _MERGE and event.tag is None:
            is_key = bool(self.open) and self.open[-1].is_object and not self.open[-1].has_key
            return _MERGING if is_key and not event.anchor else text
        if tag not in _SCALARS:
            raise _error(event, f"the tag '{tag}' has no place here")
        if len(text) > LONGEST_NUMBER:
            raise _error(event, f"a number has at most {LONGEST_NUMBER} characters")
        try:
            return _SCALARS[tag](yaml.ScalarNode(tag, text))
        except (ValueError, LookupError, OverflowError):
            raise _error(event, f"'{cut(text, 40)}' is no {tag.removeprefix(_TAG)}") from None


def _implicit(text: str) -> str:
    """The tag of a plain scalar."""
    for tag, pattern in _IMPLICIT.get(text[:1], ()):
        if pattern.match(text):
            return tag
    return _STR


def _merged(event: yaml.Event, value: Any) -> list[dict[Any, Any]]:
    """The objects under a `<<`, the first one strongest (https://yaml.org/type/merge.html)."""
    parts = list(reversed(value)) if isinstance(value, list) else [value]
    if not all(isinstance(part, dict) for part in parts):
        raise _error(event, "'<<' takes an object or a list of objects")
    return parts


def _error(event: yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _refused(message: str) -> DefinitionInvalid:
    faults = Faults()
    faults.add((), message)
    return DefinitionInvalid(faults.found)
