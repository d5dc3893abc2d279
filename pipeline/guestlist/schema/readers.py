"""Reads nodes as typed values: what each type of value looks like, for errors, for the reference and for editors."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pipeline.errors import GuestfarmError, did_you_mean
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, Scalar, Sequence, fault, unexpected
from pipeline.model import sizes

T = TypeVar("T")
W = TypeVar("W", bound=str)
T_co = TypeVar("T_co", covariant=True)

Schema = dict[str, Any]
"""A JSON Schema (draft 2020-12) of values as YAML 1.2 has them, for editors; what it lets pass, a reader may refuse."""


class Reader(Protocol[T_co]):
    """A type of value in the list."""

    @property
    def form(self) -> str:
        """What a value looks like, to follow "expected"."""

    @property
    def schema(self) -> Schema:
        """What every good value is like."""

    def read(self, node: Node) -> T_co:
        """The value that `node` stands for. Raises ReadingError."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A text that `parse` makes a value of, or refuses by GuestfarmError."""

    form: str
    parse: Callable[[str], T]
    like: str = ""
    """A regular expression that every good text matches as a whole, where there is a simple one."""

    @property
    def schema(self) -> Schema:
        """A text like that."""
        return _text_schema(self.like or r"[^\x00]+")

    def read(self, node: Node) -> T:
        """The parsed text."""
        text = _text(node, self.form)
        try:
            return self.parse(text)
        except GuestfarmError as error:
            raise ReadingError(fault(node, error.message, error.hint)) from error


@dataclass(frozen=True, slots=True)
class Matching:
    """A text that matches a regular expression as a whole."""

    form: str
    pattern: str
    hint: str = ""

    @property
    def schema(self) -> Schema:
        """The regular expression."""
        return _text_schema(self.pattern)

    def read(self, node: Node) -> str:
        """The text."""
        text = _text(node, self.form)
        if not re.fullmatch(self.pattern, text):
            raise unexpected(node, self.form, self.hint)
        return text


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within limits, in decimal digits."""

    minimum: int
    maximum: int

    @property
    def form(self) -> str:
        """The limits."""
        return f"a whole number from {self.minimum} to {self.maximum}"

    @property
    def schema(self) -> Schema:
        """The limits; a number may be in quotes."""
        number = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": ["integer", "string"], **number, "pattern": "^[0-9]{1,9}$"}

    def read(self, node: Node) -> int:
        """The number."""
        text = _text(node, self.form)
        if not re.fullmatch("[0-9]{1,9}", text) or not self.minimum <= int(text) <= self.maximum:
            raise unexpected(node, self.form)
        return int(text)


@dataclass(frozen=True, slots=True)
class Size:
    """A size within limits, in steps: bytes."""

    minimum: int
    maximum: int
    step: int
    form: str = "a size like 512M"

    @property
    def schema(self) -> Schema:
        """The notation."""
        return {"type": "string", "pattern": f"^{sizes.SIZE}$"}

    def read(self, node: Node) -> int:
        """The size in bytes."""
        try:
            size = sizes.parse_size(_text(node, self.form))
        except GuestfarmError as error:
            raise ReadingError(fault(node, error.message, error.hint)) from error
        if not self.minimum <= size <= self.maximum:
            limits = f"{sizes.format_size(self.minimum)} to {sizes.format_size(self.maximum)}"
            raise unexpected(node, f"a size from {limits}")
        if size % self.step:
            up = sizes.format_size(size + -size % self.step)
            raise unexpected(node, f"a multiple of {sizes.format_size(self.step)}", f"the next is {up}")
        return size


@dataclass(frozen=True, slots=True)
class Choice(Generic[W]):
    """One of a few words, or members of an enumeration of such."""

    words: tuple[W, ...]

    @property
    def form(self) -> str:
        """The words."""
        return f"one of {', '.join(self.words)}"

    @property
    def schema(self) -> Schema:
        """The words."""
        return {"enum": [str(word) for word in self.words]}

    def read(self, node: Node) -> W:
        """The word."""
        text = _text(node, self.form)
        for word in self.words:
            if word == text:
                return word
        raise unexpected(node, self.form, did_you_mean(text, self.words))


@dataclass(frozen=True, slots=True)
class Switch:
    """Yes or no."""

    form: str = "true or false"

    @property
    def schema(self) -> Schema:
        """The words."""
        return {"enum": [True, False, "true", "false"]}

    def read(self, node: Node) -> bool:
        """Whether it is true."""
        text = _text(node, self.form)
        if text not in ("true", "false"):
            raise unexpected(node, self.form)
        return text == "true"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the list that is read elsewhere."""

    form: str

    @property
    def schema(self) -> Schema:
        """Anything."""
        return {}

    def read(self, node: Node) -> Node:
        """The node itself."""
        return node


def _text_schema(pattern: str) -> Schema:
    """Texts that match `pattern` as a whole, and what YAML takes for something else where that does."""
    samples = {"number": ("7", "7.5"), "boolean": ("true",)}
    types = [name for name, texts in samples.items() if any(re.fullmatch(pattern, text) for text in texts)]
    # JavaScript's regular expressions, which JSON Schema asks for, have `$` where Python's have `\\Z`.
    anchored = "^(?:" + pattern.replace(r"\Z", "$") + ")$"
    return {"type": ["string", *types] if types else "string", "pattern": anchored}


def _text(node: Node, form: str) -> str:
    if not isinstance(node, Scalar) or node.is_null:
        raise unexpected(node, form)
    return node.text


@dataclass(frozen=True, slots=True)
class Or(Generic[T]):
    """A word that stands for None, or a value of another type."""

    word: str
    reader: Reader[T]

    @property
    def form(self) -> str:
        """Both."""
        return f"{self.reader.form}, or {self.word}"

    @property
    def schema(self) -> Schema:
        """Both."""
        return {"anyOf": [{"const": self.word}, self.reader.schema]}

    def read(self, node: Node) -> T | None:
        """None for the word, else the other type's value."""
        if not isinstance(node, Scalar):
            return self.reader.read(node)
        if node.text == self.word:
            return None
        try:
            return self.reader.read(node)
        except ReadingError as error:
            if hint := did_you_mean(node.text, [self.word]):
                raise unexpected(node, self.form, hint) from error
            raise


@dataclass(frozen=True, slots=True)
class Many(Generic[T]):
    """A list of values of one type, or a single value for a list of one."""

    reader: Reader[T]
    minimum: int = 0
    repeats: bool = False
    """Whether the same value may come twice."""

    @property
    def form(self) -> str:
        """One and many."""
        return f"{self.reader.form}, or a list of such"

    @property
    def schema(self) -> Schema:
        """One and many."""
        many = {"type": "array", "items": self.reader.schema, "minItems": self.minimum}
        return {"anyOf": [self.reader.schema, {**many, "uniqueItems": not self.repeats}]}

    def read(self, node: Node) -> tuple[T, ...]:
        """All values, in order. Raises ReadingError with the faults of every item."""
        items = node.items if isinstance(node, Sequence) else [node]
        if len(items) < self.minimum:
            raise unexpected(node, self.form)
        values: list[T] = []
        seen: set[T] = set()
        faults: list[Fault] = []
        for item in items:
            try:
                value = self.reader.read(item)
            except ReadingError as error:
                faults.extend(error.faults)
                continue
            if value in seen and not self.repeats:
                faults.append(fault(item, f"{item} is in the list already"))
            values.append(value)
            seen.add(value)
        if faults or len(values) < len(items):
            raise ReadingError(*faults)
        return tuple(values)
