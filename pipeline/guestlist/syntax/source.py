"""Reads a YAML file into nodes: the only module of the farm that opens a file, and the one that meets hostile ones.

YAML is read as its subset of mappings, sequences and scalars, all text: what a scalar means is for its reader to say,
so that 00:16:3e:12:34:56 is no base-60 number and `no` not false. Anchors, aliases, merge keys and tags are refused:
aliases make lists that grow without bound when read, and `defaults` and ranges say the same in fewer words.
"""

import errno
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import yaml
from yaml import events

from pipeline import input_file
from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.syntax.nodes import Entries, Fault, Mapping, Node, ReadingError, Scalar, Sequence, Unreadable

MAX_BYTES: Final = 16 << 20
"""The largest file that is read: 10,000 guests with nine keys each take 3 MB."""
MAX_ENTRIES: Final = 1 << 16
"""How many entries a mapping or a sequence may have: as many as a list may have guests."""
MAX_NODES: Final = 1 << 21
"""How many keys and values there may be: 65,536 guests with 15 keys each."""
MAX_DEPTH: Final = 20
"""How deep mappings and sequences may nest: a guest list needs five."""

# What YAML 1.1 leaves out of its printable characters (production 1, c-printable), and byte order marks within a text.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML 1.1 and its parsers count lines

Event = Any  # one of yaml.events, whose types allow for marks that are None: a parser always sets them


class Document(NamedTuple):
    """What a file holds, and the faults that did not stop its reading."""

    root: Node | None
    """None: nothing but comments."""
    faults: list[Fault]


class Parser(Protocol):
    """The part of PyYAML's loaders that is needed here."""

    def get_event(self) -> Event:
        """The next event. Raises yaml.MarkedYAMLError."""


PARSER: Final[Callable[[str], Parser]] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""PyYAML's parser in C where it was built with libyaml, else the one in Python."""


def read(path: Path) -> bytes:
    """What the file `path` has in it. Raises GuestfarmError when it cannot be read, or is no guest list by its size."""
    try:
        return input_file.read(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise GuestfarmError(f"{path}: there is no such file", "name the list with doit guests=FILE") from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise GuestfarmError(
                f"{path}: larger than {MAX_BYTES >> 20} MiB, which no guest list needs to be", "use defaults and ranges"
            ) from error
        raise GuestfarmError(f"{path}: cannot be read: {error.strerror}") from error


def decode(content: bytes) -> str:
    """`content` as text, without a byte order mark. Raises ReadingError where it is not UTF-8 or not printable."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        message = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise _stop(before, message, "save the file in the encoding UTF-8") from error
    if match := _UNPRINTABLE.search(text):
        raise _stop(text[: match.start()], f"the control character {quoted(match[0])} is not allowed", "remove it")
    return text


def parse(text: str, parser: Callable[[str], Parser] = PARSER) -> Document:
    """The YAML document in `text`. Raises ReadingError when it is not YAML from some place on."""
    reading = _Reading(parser(text))
    try:
        return Document(reading.document(), reading.faults)
    except yaml.MarkedYAMLError as error:
        raise ReadingError(*reading.faults, _syntax_fault(error, text, tuple(reading.path))) from error


def _stop(before: str, message: str, hint: str) -> ReadingError:
    """The error for what follows right after the text `before`."""
    lines = _LINE_BREAK.split(before)
    return ReadingError(Fault(len(lines), len(lines[-1]) + 1, (), message, hint))


def _syntax_fault(error: yaml.MarkedYAMLError, text: str, path: tuple[str, ...]) -> Fault:
    lines = _LINE_BREAK.split(text)
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if line >= len(lines):  # the parser puts the end of a last line without a break into the next
        line, column = len(lines) - 1, len(lines[-1])
    if lines[line][column : column + 1] == "\t":
        return Fault(line + 1, column + 1, path, "a tab cannot indent or separate here", "use spaces")
    message = f"not YAML: {error.problem}" + (f" {error.context}" if error.context else "")
    if error.context_mark and error.context_mark.line != line:
        message += f" that starts in line {error.context_mark.line + 1}"
    return Fault(line + 1, column + 1, path, message, "check indentation, quotes and brackets up to here")


class _Reading:
    """One pass over a parser's events."""

    def __init__(self, parser: Parser) -> None:
        self.next_event = parser.get_event
        self.path: list[str] = []
        """The keys that lead to the node being read."""
        self.faults: list[Fault] = []
        self.left = MAX_NODES

    def document(self) -> Node | None:
        self.next_event()  # the start of the stream
        if isinstance(self.next_event(), events.StreamEndEvent):
            return None
        root = self.node(self.next_event())
        self.next_event()  # the end of the document
        following = self.next_event()
        if not isinstance(following, events.StreamEndEvent):
            self.refuse(following, "a second document starts here", "one file holds one list")
        return root

    def node(self, event: Event, depth: int = 1) -> Node:
        """The node that starts with `event`."""
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        self.left -= 1
        if self.left < 0:
            raise self.too_many(event, f"the list has more than {MAX_NODES:,} keys and values")
        if isinstance(event, events.AliasEvent):
            self.refuse(event, f"the alias {quoted(f'*{event.anchor}')} is not read here", "use 'defaults' or a range")
            return Unreadable(line, column)
        if event.anchor is not None:
            self.refuse(event, f"the anchor {quoted(f'&{event.anchor}')} is not read here", "use 'defaults' or a range")
        if event.tag is not None:
            self.refuse(event, f"the tag {quoted(event.tag)} is not read here", "remove it: all values are text")
        if isinstance(event, events.ScalarEvent):
            return Scalar(event.value, not event.style, line, column)
        if depth > MAX_DEPTH:
            raise ReadingError(*self.faults, self.fault(event, f"nested deeper than {MAX_DEPTH} levels"))
        if isinstance(event, events.MappingStartEvent):
            return Mapping(self.entries(depth), line, column)
        return Sequence(list(self.items(depth)), line, column)

    def items(self, depth: int) -> Iterator[Node]:
        left = MAX_ENTRIES
        while not isinstance(event := self.next_event(), events.SequenceEndEvent):
            left = self.one_less(left, event)
            yield self.node(event, depth + 1)

    def entries(self, depth: int) -> Entries:
        entries: Entries = {}
        left = MAX_ENTRIES
        while not isinstance(event := self.next_event(), events.MappingEndEvent):
            left = self.one_less(left, event)
            key = self.node(event, depth + 1)
            if not isinstance(key, Scalar):
                self.refuse(event, "a key is a single text, not a mapping, list or alias")
                self.skip(depth)
            elif key.plain and key.text == "<<":
                self.refuse(event, "the merge key '<<' is not read here", "put what guests share under 'defaults'")
                self.skip(depth)
            elif first := entries.get(key.text):
                self.path.append(key.text)
                self.refuse(event, f"given twice; the first is in line {first[0].line}")
                self.path.pop()
                self.skip(depth)
            else:
                self.path.append(key.text)
                entries[key.text] = key, self.node(self.next_event(), depth + 1)
                self.path.pop()
        return entries

    def one_less(self, left: int, event: Event) -> int:
        """How many more entries there may be after the one that `event` starts."""
        if not left:
            raise self.too_many(event, f"more than {MAX_ENTRIES:,} entries")
        return left - 1

    def too_many(self, event: Event, message: str) -> ReadingError:
        hint = "use 'defaults', 'roles' and ranges, or split the farm"
        return ReadingError(*self.faults, self.fault(event, message, hint))

    def skip(self, depth: int) -> None:
        """Read the value of a key that was refused, whatever is in it."""
        known = len(self.faults)
        self.node(self.next_event(), depth + 1)
        del self.faults[known:]

    def refuse(self, event: Event, message: str, hint: str = "") -> None:
        self.faults.append(self.fault(event, message, hint))

    def fault(self, event: Event, message: str, hint: str = "") -> Fault:
        mark = event.start_mark
        return Fault(mark.line + 1, mark.column + 1, tuple(self.path), message, hint)
