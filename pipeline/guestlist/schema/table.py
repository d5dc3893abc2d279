"""The keys of a mapping in the list, declared as a table: name, reader, default, documentation.

Fields are flat: the key `bridge` of the section `network` is called network.bridge. So a guest's fields over those of
the defaults are one dictionary over another, and sections merge key by key.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import PurePath
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, cast

from pipeline.errors import did_you_mean, quoted
from pipeline.guestlist.schema.readers import Many, Or, Reader, Schema, Size, Switch
from pipeline.guestlist.syntax.nodes import (
    Entries,
    Fault,
    Mapping,
    Node,
    ReadingError,
    Scalar,
    entries_of,
    fault,
    unexpected,
)
from pipeline.model.sizes import format_size

T = TypeVar("T")


class Absent(Enum):
    """What a key without a default has instead."""

    REQUIRED = "required"


REQUIRED: Final = Absent.REQUIRED


class BrokenError(Exception):
    """A value is missing or could not be read, which is reported already: what would follow from it is no news."""


class Field(NamedTuple):
    """A value that was read, and its place. A broken one has no value."""

    value: Any
    node: Node
    broken: bool = False


class Item(Protocol):
    """A line of a table."""

    @property
    def name(self) -> str:
        """The key in full, as network.bridge."""

    @property
    def doc(self) -> str:
        """What it is, in a few words."""

    @property
    def schema(self) -> Schema:
        """What every good value is like."""

    def read(self, node: Node, fields: dict[str, Field]) -> Iterator[Fault]:
        """Put what `node` says into `fields`, and yield what is wrong with it."""

    def names(self) -> Iterator[str]:
        """The names of all fields that come from here."""

    def missing(self, fields: "Fields") -> "Iterator[Key[Any]]":
        """The required keys of this line that are not among `fields`."""


class Fields:
    """Values by key, with their places."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, Field]) -> None:
        self._fields = fields

    def __contains__(self, item: Item) -> bool:
        return item.name in self._fields

    def __getitem__(self, key: "Key[T]") -> T:
        """The value, or the key's default. Raises BrokenError."""
        field = self._fields.get(key.name)
        if field is None:
            if key.default is REQUIRED:
                raise BrokenError(key.name)
            return key.default
        if field.broken:
            raise BrokenError(key.name)
        return cast(T, field.value)

    def has(self, section: Item) -> bool:
        """Whether the section is given, and not as `none`. Raises BrokenError."""
        field = self._fields.get(section.name)
        if field and field.broken:
            raise BrokenError(section.name)
        return bool(field and field.value)

    def has_any(self, names: Set[str]) -> bool:
        """Whether some of `names` are those of fields that are given."""
        return not self._fields.keys().isdisjoint(names)

    def node(self, item: Item) -> Node:
        """Where the value of `item` stands. Raises KeyError."""
        return self._fields[item.name].node

    def over(self, defaults: "Fields") -> "Fields":
        """These fields, and those of `defaults` that these leave open."""
        return Fields({**defaults._fields, **self._fields})

    def is_sound(self, item: Item) -> bool:
        """Whether `item` is given and could be read."""
        return item in self and not self._fields[item.name].broken

    def breaking(self, *items: Item) -> "Fields":
        """These fields with those of `items` as broken ones."""
        broken = {item.name: Field(None, self.node(item), broken=True) for item in items}
        return Fields({**self._fields, **broken})


class Table:
    """The keys that a mapping may have."""

    def __init__(self, *items: Item) -> None:
        self.items = {item.name.rpartition(".")[2]: item for item in items}

    @property
    def schema(self) -> Schema:
        """A mapping with these keys, and all of those that are required."""
        required = [name for name, item in self.items.items() if isinstance(item, Key) and item.default is REQUIRED]
        return {
            "type": "object",
            "properties": {name: item.schema for name, item in self.items.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }

    def read(self, node: Node) -> tuple[Fields, list[Fault]]:
        """The fields of the mapping `node`, which may be left empty, and all that is wrong with them."""
        try:
            entries = entries_of(node, f"a mapping of {', '.join(self.items)}")
        except ReadingError as error:
            return Fields(self.broken(node)), [*error.faults]
        fields: dict[str, Field] = {}
        return Fields(fields), [*self.read_entries(entries, fields)]

    def read_entries(self, entries: Entries, fields: dict[str, Field]) -> Iterator[Fault]:
        """Put the fields of a mapping's entries into `fields`, and yield what is wrong with them."""
        for name, (key, value) in entries.items():
            item = self.items.get(name)
            if item is None:
                yield fault(key, f"unknown key {quoted(name)}", self._meant(name))
                continue
            for found in item.read(value, fields):
                yield found.under(name)

    def names(self) -> Iterator[str]:
        """The names of all fields."""
        for item in self.items.values():
            yield from item.names()

    def broken(self, node: Node) -> dict[str, Field]:
        """Fields for a `node` of which none can be read."""
        return dict.fromkeys(self.names(), Field(None, node, broken=True))

    def missing(self, fields: Fields) -> "Iterator[Key[Any]]":
        """The required keys that are not among `fields`; those of a section only where the section is given."""
        for item in self.items.values():
            yield from item.missing(fields)

    def _meant(self, name: str) -> str:
        """A hint to what the unknown key `name` may stand for."""
        for item in self.items.values():
            if f"{item.name}.{name}" in item.names():
                return f"it belongs into '{item.name}'"
        return did_you_mean(name, self.items) or f"known: {', '.join(self.items)}"


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """A key with one value."""

    name: str
    reader: Reader[T]
    doc: str
    default: T | Absent = REQUIRED

    @property
    def schema(self) -> Schema:
        """What the reader takes."""
        default = None if self.default is REQUIRED else as_written(self.default, self.reader)
        return {"description": self.doc, **({} if default is None else {"default": default}), **self.reader.schema}

    def read(self, node: Node, fields: dict[str, Field]) -> Iterator[Fault]:
        """Read the value."""
        if self.name in fields:
            yield fault(node, f"given twice; the first is in line {fields[self.name].node.line}")
            return
        try:
            fields[self.name] = Field(self.reader.read(node), node)
        except ReadingError as error:
            fields[self.name] = Field(None, node, broken=True)
            yield from error.faults

    def names(self) -> Iterator[str]:
        """The key's."""
        yield self.name

    def missing(self, fields: Fields) -> "Iterator[Key[Any]]":
        """The key itself, perhaps."""
        if self.default is REQUIRED and self not in fields:
            yield self


def as_written(value: object, reader: Reader[Any]) -> Any:  # noqa: ANN401  # whatever JSON has
    """How the list has a `value` of `reader`; None for what no short text stands for."""
    written: Any = None
    match reader, value:
        case Or(word=word), None:
            written = word
        case Or(reader=inner), _:
            written = as_written(value, inner)
        case Many(reader=inner), tuple():
            written = [as_written(each, inner) for each in value]
        case Size(), int():
            written = format_size(value)
        case Switch(), bool():
            written = "true" if value else "false"
        case _, StrEnum() | PurePath():
            written = str(value)
        case _, bool() | int() | str():
            written = value
    return written


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
