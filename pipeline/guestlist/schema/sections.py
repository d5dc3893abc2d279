"""Keys with mappings of their own, and other places to give one of the keys in there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.guestlist.schema.readers import Schema
from pipeline.guestlist.schema.table import BrokenError, Field, Fields, Item, Key, Table
from pipeline.guestlist.syntax.nodes import Fault, Mapping, Node, Scalar, unexpected


@dataclass(frozen=True, slots=True)
class Section:
    """A key with a mapping of its own."""

    name: str
    table: Table
    doc: str
    short: Key[Any] | None = None
    """The key that a single text in place of the mapping is for."""
    optional: bool = False
    """Whether `none` in place of the mapping says that there is nothing of the kind."""

    @property
    def schema(self) -> Schema:
        """The mapping, or what may stand in its place."""
        forms = [self.table.schema]
        forms += [self.short.reader.schema] if self.short else []
        forms += [{"const": "none"}] if self.optional else []
        return {"description": self.doc, **(forms[0] if len(forms) == 1 else {"anyOf": forms})}

    def read(self, node: Node, fields: dict[str, Field]) -> Iterator[Fault]:
        """Read the mapping, or what may stand in its place."""
        if isinstance(node, Mapping):
            fields[self.name] = Field(True, node)
            yield from self.table.read_entries(node.entries, fields)
        elif self.optional and isinstance(node, Scalar) and node.text == "none":
            fields[self.name] = Field(False, node)
        elif self.short and isinstance(node, Scalar):
            fields[self.name] = Field(True, node)
            yield from self.short.read(node, fields)
        else:
            fields[self.name] = Field(None, node, broken=True)
            fields.update(self.table.broken(node))
            yield from unexpected(node, self._form).faults

    def names(self) -> Iterator[str]:
        """Its own, and those of its keys."""
        yield self.name
        yield from self.table.names()

    def missing(self, fields: Fields) -> "Iterator[Key[Any]]":
        """What is missing in the mapping."""
        try:
            if fields.has(self):
                yield from self.table.missing(fields)
        except BrokenError:
            return

    @property
    def _form(self) -> str:
        forms = [f"a mapping of {', '.join(self.table.items)}"]
        if self.short:
            forms.append(self.short.reader.form)
        if self.optional:
            forms.append("none")
        return ", or ".join(forms)


@dataclass(frozen=True, slots=True)
class Shorthand:
    """Another place to give a key of a section."""

    name: str
    key: Key[Any]
    section: Item

    @property
    def doc(self) -> str:
        """What it stands for."""
        return f"short for {self.key.name}"

    @property
    def schema(self) -> Schema:
        """The key's."""
        return {**self.key.schema, "description": self.doc}

    def read(self, node: Node, fields: dict[str, Field]) -> Iterator[Fault]:
        """Read the value of the key that this stands for."""
        fields.setdefault(self.section.name, Field(True, node))
        yield from self.key.read(node, fields)

    def names(self) -> Iterator[str]:
        """None: it has no field of its own."""
        yield from ()

    def missing(self, fields: Fields) -> "Iterator[Key[Any]]":
        """Nothing: it is the key that is required."""
        yield from ()
