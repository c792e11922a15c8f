"""JSON values with expressions in their strings, compiled.

Mistral's rules (`expressions/__init__.py`): strings in lists and objects are evaluated wherever they stand, names of
members never; a string that is exactly one expression gives the value of it, with its type, any other one gives text.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lazyengine.compilers.expressions import jinja_language, yaql_language
from lazyengine.compilers.expressions.reads import NOTHING, Reads, merged
from lazyengine.compilers.expressions.scan import Language, jinja_source, languages, quoted, yaql_parts, yaql_source
from lazyengine.compilers.expressions.shortcut import Shortcut
from lazyengine.compilers.faults import Faults, Path
from lazyengine.compilers.literals import strings_in

LONGEST_TEXT = 65_536
"""Characters of a string that has an expression: a long one takes long to parse."""


@dataclass(frozen=True, slots=True)
class Text:
    """One string with at least one expression."""

    source: str
    language: Language
    reads: Reads
    shortcut: Shortcut | None


@dataclass(frozen=True, slots=True)
class Template:
    """
    :param value: the JSON value as it was written
    :param texts: each string of it that has expressions, with its place
    :param reads: what all of them may read
    """

    value: Any
    texts: tuple[tuple[Path, Text], ...]
    reads: Reads

    @property
    def has_expressions(self) -> bool:
        return bool(self.texts)


class ExpressionInvalid(ValueError):
    """A string holds what is no expression; says which and where in it."""


def compile_template(faults: Faults, path: Path, value: Any) -> Template:
    """Compile a JSON value; each string that is wrong, and what JSON cannot say, is added to `faults`.

    :param path: where the value stands in the definition
    """
    texts: list[tuple[Path, Text]] = []
    for place, string in strings_in(faults, path, value):
        found = languages(string)
        if len(found) > 1 and len(place) - len(path) <= 1:  # Mistral looks no deeper, and then only Jinja is evaluated
            faults.add(place, "YAQL and Jinja stand in one string; use one of them")
        elif found and faults.leaves_room(place, len(string)):
            try:
                texts.append((place[len(path) :], compile_text(string)))
            except ExpressionInvalid as error:
                faults.add(place, str(error))
    return Template(value, tuple(texts), merged(text.reads for _, text in texts) if texts else NOTHING)


def compile_inside(faults: Faults, path: Path, value: Any) -> None:
    """Compile a value that stands inside one string: its faults are all at the place of that string."""
    inner = faults.inside()
    compile_template(inner, (), value)
    for fault in inner.found:
        faults.add(path, fault.message)


def load_template(value: Any) -> Template:
    """Compile a value that was compiled before without a fault, such as one that was stored.

    :raises ExpressionInvalid: it was not
    """
    texts = [(place, compile_text(string)) for place, string in strings_in(Faults(), (), value) if languages(string)]
    return Template(value, tuple(texts), merged(text.reads for _, text in texts) if texts else NOTHING)


@lru_cache(maxsize=4096)
def compile_text(string: str) -> Text:
    """Compile a string that has expressions.

    :raises ExpressionInvalid: one of them is none
    """
    if len(string) > LONGEST_TEXT:
        raise ExpressionInvalid(f"a string with an expression has at most {LONGEST_TEXT} characters")
    language = languages(string)[0]
    try:
        reads, shortcut = _of_jinja(string) if language is Language.JINJA else _of_yaql(string)
    except ValueError as error:
        raise ExpressionInvalid(f"{quoted(string)} is no {_NAMES[language]} expression: {error}") from None
    return Text(string, language, reads, shortcut)


_NAMES = {Language.YAQL: "YAQL", Language.JINJA: "Jinja"}


def _of_yaql(string: str) -> tuple[Reads, Shortcut | None]:
    parts = yaql_parts(string)
    trees = [yaql_language.parse(yaql_source(part)) for part in parts]
    shortcut = yaql_language.shortcut_of(trees[0]) if parts[0] == string else None
    return merged(map(yaql_language.reads_of, trees)), shortcut


def _of_jinja(string: str) -> tuple[Reads, Shortcut | None]:
    tree = jinja_language.parse(string)
    whole = jinja_source(string)
    shortcut = jinja_language.shortcut_of(tree) if whole and not whole.startswith(("-", "+")) else None
    return jinja_language.reads_of(tree), shortcut


def fill(template: Template, values: list[Any]) -> Any:
    """Return the template's value with each of its texts replaced; what has none is shared, not copied."""
    if template.texts and not template.texts[0][0]:
        return values[0]
    filled = _Copies(template.value)
    for (place, _), value in zip(template.texts, values, strict=True):
        filled.put(place, value)
    return filled.top


class _Copies:
    """A value of which each list and object is copied once, when something below it changes."""

    def __init__(self, value: Any) -> None:
        self.copied: dict[Path, Any] = {}
        self.value = value
        self.top = value

    def put(self, place: Path, value: Any) -> None:
        self.of(place[:-1])[place[-1]] = value

    def of(self, place: Path) -> Any:
        if place not in self.copied:
            if place:
                parent = self.of(place[:-1])
                parent[place[-1]] = self.copied[place] = parent[place[-1]].copy()
            else:
                self.top = self.copied[place] = self.value.copy()
        return self.copied[place]
