"""Finding expressions in a text.  Cost: the length of the text, whatever stands in it.

Source: Mistral's `expressions/yaql_expression.py` and `jinja_expression.py`, whose patterns do not cross the end of a
line; and `expressions/__init__.py`, where Jinja is asked first, so that YAQL inside a Jinja text stays text.
"""

from collections.abc import Iterator
from enum import StrEnum

from lazyengine.compilers.faults import shown


class Language(StrEnum):
    YAQL = "yaql"
    JINJA = "jinja"


def languages(text: str) -> list[Language]:
    """Return the languages of which expressions stand in a text, that which evaluates it first."""
    if "{" not in text and "<%" not in text:
        return []
    found = [Language.JINJA] if _any(text, "{{", "}}") or _any(text, "{%", "%}") else []
    return [*found, Language.YAQL] if _any(text, "<%", "%>") else found


def has_expression(text: str) -> bool:
    """Tell whether an expression stands in a text."""
    return bool(languages(text))


def yaql_parts(text: str) -> list[str]:
    """Return each `<% … %>` of a text, with its brackets."""
    return list(_parts(text, "<%", "%>"))


def yaql_source(part: str) -> str:
    """Return what stands between the brackets of a part."""
    return part.strip("<%>").strip()


def jinja_source(text: str) -> str | None:
    """Return what stands between `{{` and `}}` where that is all of a text; None: it is a template."""
    whole = text.startswith("{{") and text.find("}}", 2) == len(text) - 2 and "\n" not in text
    return text[2:-2] if whole else None


def quoted(text: str) -> str:
    """Repeat an expression in a message, on one line and cut."""
    return shown(text)


def _any(text: str, left: str, right: str) -> bool:
    return next(_parts(text, left, right), None) is not None


def _parts(text: str, left: str, right: str) -> Iterator[str]:
    for line in text.split("\n"):
        end = 0
        while (start := line.find(left, end)) >= 0 and (end := line.find(right, start + 2)) >= 0:
            end += 2
            yield line[start:end]
