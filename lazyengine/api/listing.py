"""What all lists have in common: the page size, and the link to the next page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from lazyengine.api.operation import Parameter
from lazyengine.api.reading import query_pairs
from lazyengine.api.request import Request
from lazyengine.api.types import Integer
from lazyengine.records import Page

T = TypeVar("T")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

LIMIT = Parameter(
    "limit", Integer(1, None), f"How many at most; {DEFAULT_LIMIT} if left out, and never more than {MAX_LIMIT}."
)


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go from here."""

    rel: str
    href: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page as callers see it."""

    entries: tuple[Any, ...]
    links: tuple[Link, ...]


def listing(request: Request, page: Page[T], marker: Callable[[T], str], parameter: str = "marker") -> Listing:
    """Put the link to the next page, if there is one, behind a page: the same query from the last entry's marker on."""
    if not page.more:
        return Listing(page.items, ())
    pairs = [(name, value) for name, value in query_pairs(request.query) if name != parameter]
    query = urlencode([*pairs, (parameter, marker(page.items[-1]))])
    return Listing(page.items, (Link("next", f"{request.path_url}?{query}"),))
