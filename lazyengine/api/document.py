"""What a body is made of: WSME types whose attributes know more than WSME asks for.

A `Document` is a class with `member`s.  Of one that is read (requests), a member is required or has a default; of one
that is written (answers), every member is always there and `source` names the attribute of the engine's record that
it shows, so that no converter stands between the records and the answer.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import wsme.types
from wsme.types import Unset

from lazyengine.api.types import Misfit


class member(wsme.types.wsattr):  # type: ignore[misc]  # noqa: N801  (it reads like the wsattr that it is)
    """An attribute of a document.

    :param datatype: a `Scalar`, a `Document`, or a list of one of these
    :param doc: what it means, for the api-ref
    :param required: a request has to have it; an answer always does
    :param nullable: an answer may have null here
    :param default: what a request means that leaves it out
    :param source: dotted path of the attribute of the record that an answer shows here; the name itself if None
    :param name: what it is called, where that is a word of Python; else it is called as the attribute
    """

    def __init__(
        self,
        datatype: Any,
        doc: str = "",
        *,
        required: bool = True,
        nullable: bool = False,
        default: Any = Unset,
        source: str | None = None,
        max_items: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(datatype, mandatory=required, default=default, name=name)
        self.doc = doc
        self.nullable = nullable
        self.source = source
        self.max_items = max_items

    def __get__(self, instance: Any, owner: Any) -> Any:
        """Return what was read; WSME would look for it in an object of its own."""
        return self if instance is None else instance.__dict__.get(self.key, self.default)

    def __set__(self, instance: Any, value: Any) -> None:
        """Keep what was read.

        WSME would check its type once more.  Measured for the body of a completion, with `__get__`: 18 thousand
        instructions less.
        """
        instance.__dict__[self.key] = value


def optional(datatype: Any, doc: str = "", *, default: Any = Unset, max_items: int | None = None) -> Any:
    """Declare a member that a request may leave out, or an answer lacks where its value is `Unset`."""
    return member(datatype, doc, required=False, default=default, max_items=max_items)


class Document(wsme.types.Base):  # type: ignore[misc]
    """A JSON object with the members that its class declares, and no others."""

    _planned: ClassVar[Mapping[str, str]] = {}
    """Members that the contract has and this version refuses, each with the reason to give."""

    _record: ClassVar[str] = ""
    """Of an answer: the attribute of the record in which inherited members find their sources."""

    _at_least_one: ClassVar[bool] = False
    """Of a request: an empty object means nothing and is refused."""

    _one_of: ClassVar[tuple[str, ...]] = ()
    """Of a request: it has to have at least one of these."""

    def __init_subclass__(cls, **options: Any) -> None:
        # WSME would read the source file to learn the order of the members.
        order = (name for base in reversed(cls.__mro__) for name, a in vars(base).items() if isinstance(a, member))
        cls._wsme_attr_order = tuple(dict.fromkeys(order))
        super().__init_subclass__(**options)

    @classmethod
    def members(cls) -> list[member]:
        return list(cls._wsme_attributes)


class OneOf(wsme.types.UserType):  # type: ignore[misc]
    """One of several documents, told apart by the word that the member `by` holds."""

    basetype = dict

    def __init__(self, name: str, by: str, variants: Mapping[str, type[Document]]) -> None:
        self.name = name
        self.by = by
        self.variants = variants
        self.expected = f"one of {', '.join(variants)}"

    def variant(self, value: Mapping[str, Any]) -> type[Document]:
        """Choose the document that `value` is meant to be."""
        word = value.get(self.by)
        if type(word) is not str or word not in self.variants:
            raise Misfit(f"has to be {self.expected}", f"/{self.by}")
        return self.variants[word]
