"""A hypervisor that nobody has: its guests are lines of text."""

from collections.abc import Collection, Mapping
from typing import Any

from pipeline.guestlist.schema.readers import Number
from pipeline.guestlist.schema.table import Fields, Key, Section, Table
from pipeline.hypervisors.base import Files, Hypervisor, Start
from pipeline.model.guest import Guest

SLOTS: Key[int] = Key("fake.slots", Number(1, 9), "how many slots it has", 1)
OPTIONS = Section("fake", Table(SLOTS), "what is the fake one's alone")


class Fake(Hypervisor):
    """Refuses nothing but the keys that it is told not to have."""

    suffix = "fake"

    def __init__(
        self, name: str = "fake", options: Section | None = None, unsupported_keys: Collection[Key[Any]] = ()
    ) -> None:
        self.name = name  # type: ignore[misc]  # a class of its own for each would be the same
        self.options = options or Section(name, OPTIONS.table, OPTIONS.doc)  # type: ignore[misc]
        self.unsupported_keys = unsupported_keys  # type: ignore[misc]

    def configure(self, fields: Fields) -> object:
        return {"slots": fields[SLOTS]} if self.name == "fake" else None

    def render(self, guest: Guest, files: Files) -> str:
        return f"guest {guest.name} slots {guest.options['fake']['slots']} disk {files.root}\n"

    def descriptors(self, guest: Guest, files: Files) -> Mapping[str, str]:
        return {f"{guest.name}.slots": f"{guest.options['fake']['slots']}\n"}

    def start(self, guest: Guest) -> Start:
        return Start.KERNEL

    def drivers(self, guest: Guest) -> Collection[str]:
        return ("fake_blk",)
