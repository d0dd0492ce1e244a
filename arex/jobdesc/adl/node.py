"""An element of ADL, its children by name, and the ways to read them as ARC 6.17 does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from arex.errors import JobDescriptionError
from arex.jobdesc.adl.writer import ADL, NORDUGRID
from arex.jobdesc.remarks import Remarks
from arex.model.numbers import leading_number, whole_number
from arex.suggest import closest

if TYPE_CHECKING:
    from lxml.etree import _Element

_T = TypeVar("_T")

#: The namespaces of ADL and of the NorduGrid extension: ARC's prefix, URI, and the prefix of names here.
_SPACES: Final = (("adl", ADL, ""), ("nordugrid-adl", NORDUGRID, "ng:"))
_BY_PREFIX: Final = {prefix: mark for prefix, _, mark in _SPACES}
_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


def boolean(text: str) -> bool:
    """
    ``true``, ``1``, ``false`` or ``0``, and nothing around it.

    Raises:
        ValueError: none of them.
    """
    if text not in _TRUE | _FALSE:
        raise ValueError(f"expected true or false, not {text[:80]!r}")
    return text in _TRUE


class AdlDocument:
    """One document: its namespaces, and the remarks on it."""

    def __init__(self, root: _Element) -> None:
        self.remarks = Remarks()
        self._marks = _namespaces(root.nsmap)

    def mark(self, element: _Element, parent: str | None) -> str | None:
        """The prefix of this element's name here; None if its namespace is unknown."""
        space, _, _ = str(element.tag).rpartition("}")
        if not space:
            return parent  # as ARC does: an element without a namespace is in that of its parent
        found = self._marks.get(space[1:])
        return found if found is not None else _BY_PREFIX.get(element.prefix or "")

    def remark(self, what: str, element: _Element, suggestion: str = "", error: str = "") -> None:
        self.remarks.add(what, line_of(element), suggestion=suggestion, error=error)


def _namespaces(declared: Mapping[str | None, str]) -> dict[str, str]:
    """
    The namespaces that ARC finds.

    It looks for its own prefixes, and stops at the first that the root defines differently. From there on, only
    prefixes count.
    """
    marks: dict[str, str] = {}
    for prefix, space, mark in _SPACES:
        first = next((name or "" for name, uri in declared.items() if uri == space), None)
        if first != prefix and prefix in declared:
            break
        marks[space] = mark
    return marks


def line_of(element: _Element) -> int:
    line: object = element.sourceline
    return line if isinstance(line, int) else 1


def text_of(element: _Element) -> str:
    """The text of the element itself, without that of its children."""
    return (element.text or "") + "".join(child.tail or "" for child in element)


class Node:
    """An element; names of the NorduGrid extension start with ``ng:``. The first child of a name counts."""

    __slots__ = ("_children", "_element", "_mark", "_page")

    def __init__(self, page: AdlDocument, element: _Element, mark: str | None) -> None:
        self._page, self._element, self._mark = page, element, mark
        self._children: dict[str, list[tuple[_Element, str | None]]] = {}
        for child in element:
            if isinstance(child.tag, str):
                own = page.mark(child, mark)
                key = f"{'?' if own is None else own}{child.tag.rpartition('}')[2]}"
                self._children.setdefault(key, []).append((child, own))

    @property
    def name(self) -> str:
        """With its prefix, as for children; ``?`` is an unknown namespace."""
        return f"{'?' if self._mark is None else self._mark}{str(self._element.tag).rpartition('}')[2]}"

    def fail(self, what: str, name: str = "") -> NoReturn:
        """Raise JobDescriptionError at this element, or at the first child of that name."""
        found = self._children.get(name)
        raise JobDescriptionError(what, line_of(found[0][0] if found else self._element))

    def remark(self, what: str, suggestion: str = "", *, error: str = "") -> None:
        self._page.remark(what, self._element, suggestion, error)

    @property
    def line(self) -> int | None:
        return line_of(self._element)

    @property
    def full(self) -> bool:
        return self._page.remarks.full

    def knows(self, *names: str) -> None:
        """Add a remark for each child with another name."""
        for key in self._children.keys() - set(names):
            if self._page.remarks.full:
                return
            plain = key.removeprefix("?").removeprefix("ng:")
            hint = closest(plain, (name.removeprefix("ng:") for name in names))
            child = self._children[key][0][0]
            if hint == plain:
                what = f"Element {plain} is in the wrong namespace"
                self._page.remark(f"{what}: it is ignored", child, error=what)
            else:
                what = f"Unknown element {plain[:80]}"
                self._page.remark(f"{what}: it is ignored", child, hint, what if hint else "")

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def nodes(self, name: str) -> Iterator[Node]:
        return (Node(self._page, element, mark) for element, mark in self._children.get(name, ()))

    def node(self, name: str) -> Node | None:
        return next(self.nodes(name), None)

    def attribute(self, name: str) -> str | None:
        """The value of an attribute, in whatever namespace; None if it is absent."""
        for key, value in self._element.attrib.items():
            if str(key).rpartition("}")[2] == name:
                return str(value)
        return None

    def optional(self) -> bool | None:
        """Whether it may be ignored; None if it has no such attribute."""
        text = self.attribute("optional")
        if text is not None and text not in _TRUE | _FALSE:
            self.fail(f"optional is neither true nor false: {text[:80]!r}")
        return None if text is None else text in _TRUE

    @property
    def content(self) -> str:
        return text_of(self._element)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(text_of(element) for element, _ in self._children.get(name, ()))

    def text(self, name: str) -> str:
        found = self._children.get(name)
        return text_of(found[0][0]) if found else ""

    def anywhere(self, name: str) -> str:
        """The text of the first child of this name in any namespace."""
        for child in self._element:
            if str(child.tag).rpartition("}")[2] == name:
                return text_of(child)
        return ""

    def read(self, name: str, reader: Callable[[str], _T]) -> _T | None:
        """The value of one element, None when it is absent."""
        if name not in self._children:
            return None
        try:
            return reader(self.text(name))
        except ValueError as exc:
            self.fail(f"{name.removeprefix('ng:')}: {exc}", name)

    def integer(self, name: str) -> int | None:
        """A number and nothing else; None if it is absent or -1."""
        found = self.read(name, whole_number)
        return None if found == -1 else found

    def number(self, name: str) -> int | None:
        """The number at the beginning of the text, or zero with a remark. None if it is absent."""
        if (child := self.node(name)) is None:
            return None
        try:
            return leading_number(child.content)
        except ValueError as exc:
            child.remark(f"{name.removeprefix('ng:')} counts as 0: {exc}", error=f"{name.removeprefix('ng:')}: {exc}")
            return 0

    def flag(self, name: str, *, default: bool = False) -> bool:
        found = self.read(name, boolean)
        return default if found is None else found

    def options(self) -> Iterable[tuple[str, str]]:
        return ((item.text("Name"), item.text("Value")) for item in self.nodes("Option"))
