"""The guest list as text that knows its line and column, and what may be wrong with it there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.errors import Place, Problem, quoted


@dataclass(slots=True)
class Scalar:
    """A text, whatever it stands for."""

    text: str
    plain: bool
    """Written without quotes."""
    line: int
    column: int

    @property
    def is_null(self) -> bool:
        """Whether nothing was given: no text, or one of the words that YAML 1.1 has for it."""
        return self.plain and self.text in {"", "~", "null", "Null", "NULL"}

    def __str__(self) -> str:
        return "nothing" if self.is_null else quoted(self.text)


@dataclass(slots=True)
class Literal(Scalar):
    """A text whose brackets are mere brackets, and no range."""


@dataclass(slots=True)
class Sequence:
    """A list of nodes."""

    items: list["Node"]
    line: int
    column: int

    def __str__(self) -> str:
        return "a list"


@dataclass(slots=True)
class Mapping:
    """Nodes by key, each with the node of its key, in the order of the file."""

    entries: "Entries"
    line: int
    column: int

    def __str__(self) -> str:
        return "a mapping"


@dataclass(slots=True)
class Unreadable:
    """Stands where a node was that is reported already."""

    line: int
    column: int


Node = Scalar | Sequence | Mapping | Unreadable
Entries = dict[str, tuple[Scalar, Node]]


class Fault(NamedTuple):
    """One thing that is wrong with the list: where, under which keys, and what."""

    line: int
    column: int
    path: tuple[str, ...]
    message: str
    hint: str = ""

    def under(self, *path: str) -> "Fault":
        """The same fault as seen from further up the list."""
        return self._replace(path=(*path, *self.path))

    def problem(self, file: str) -> Problem:
        """The fault as one line for the user of `file`."""
        heading = _heading(self.path)
        message = f"{heading}: {self.message}" if heading else self.message
        return Problem(Place(file, self.line, self.column), message, self.hint)


class ReadingError(Exception):
    """A node cannot be what it should be. Carries at least one fault unless the node was reported already."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults


def first_at_each_place(faults: Iterable[Fault]) -> list[Fault]:
    """`faults` without those that follow at a place that has one: what a range gets wrong is said once."""
    places: dict[tuple[int, int], Fault] = {}
    for found in faults:
        places.setdefault((found.line, found.column), found)
    return list(places.values())


def fault(node: Node, message: str, hint: str = "", path: tuple[str, ...] = ()) -> Fault:
    """A fault at the place of `node`."""
    return Fault(node.line, node.column, path, message, hint)


def unexpected(node: Node, form: str, hint: str = "") -> ReadingError:
    """The error for a `node` that should have been `form`."""
    if isinstance(node, Unreadable):
        return ReadingError()
    return ReadingError(fault(node, f"expected {form}, found {node}", hint))


def entries_of(node: Node, form: str) -> Entries:
    """The entries of the mapping `node`, none where it was left empty. Raises ReadingError for other nodes."""
    if isinstance(node, Mapping):
        return node.entries
    if isinstance(node, Scalar) and node.is_null:
        return {}
    raise unexpected(node, form)


def size(node: Node) -> int:
    """How many keys and values there are in `node`."""
    if isinstance(node, Mapping):
        return 1 + sum(1 + size(value) for _, value in node.entries.values())
    return 1 + sum(map(size, node.items)) if isinstance(node, Sequence) else 1


_NAMED_AFTER = {"guests": "guest", "masters": "master", "networks": "network", "roles": "role"}


def _heading(path: tuple[str, ...]) -> str:
    """Where a fault lies, in the words of the list's author: `guest 'web3': network.gateway`."""
    if len(path) > 1 and path[0] in _NAMED_AFTER:
        named, keys = f"{_NAMED_AFTER[path[0]]} {quoted(path[1])}", path[2:]
    elif path[:1] == ("defaults",):
        named, keys = "defaults", path[1:]
    else:
        named, keys = "", path
    return ": ".join(part for part in (named, ".".join(_key(key) for key in keys)) if part)


def _key(text: str) -> str:
    """A key as it is where it looks like one of ours, else in quotes."""
    return text if re.fullmatch("[A-Za-z0-9_.-]{1,40}", text) else quoted(text)
