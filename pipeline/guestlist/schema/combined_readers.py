"""Readers made of other readers."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.guestlist.schema.readers import Reader, Schema, did_you_mean
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, Scalar, Sequence, fault, unexpected

T = TypeVar("T")


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
