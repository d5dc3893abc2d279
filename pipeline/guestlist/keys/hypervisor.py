"""What guests.yaml has to know of a hypervisor: its own keys, and what it cannot express of the others."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pipeline.guestlist.schema.readers import Choice, Matching, Or
from pipeline.guestlist.schema.table import Fields, Item, Key, Section
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Firmware

DESCRIPTION: Final[Key[str | None]] = Key(
    "description",
    Or(
        "none",
        Matching("a text of one line", r"(?=.*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]{1,200}"),
    ),
    "what it is for: 200 characters that its configurations show to people",
    None,
)
FIRMWARE: Final = Key("firmware", Choice(tuple(Firmware)), "what starts it where it boots as a PC does", Firmware.BIOS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value that a hypervisor has nothing for."""

    item: Item
    """The key that has it, as far as the list gives it."""
    message: str
    """To follow the hypervisor's name."""
    hint: str = ""
    card: int | None = None
    """The number of the network card whose model it is, rather than the value of `item`."""


class Hypervisor(Protocol):
    """A hypervisor, as far as the list is concerned."""

    @property
    def options(self) -> Section:
        """The keys that it alone has, in a section of its name."""

    @property
    def unsupported_keys(self) -> Collection[Key[Any]]:
        """Keys of guests that it has nothing for: they have to be left at their defaults."""

    def configure(self, fields: Fields) -> object:
        """The options of a guest. Raises BrokenError."""

    def refusals(self, guest: Guest) -> Iterable[Refusal]:
        """What it cannot do for a guest that is sound otherwise."""

    def drivers(self, guest: Guest) -> Collection[str]:
        """The kernel modules of which a guest needs one to find its disks."""


Hypervisors = Mapping[str, Hypervisor]
"""By the names that guests are configured for."""
