"""What a hypervisor is here: one module each, with its options, its text, what it cannot do, and its toolstack."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import Any, ClassVar

from pipeline.guestlist.keys.guest import EXTRA, KERNEL
from pipeline.guestlist.keys.hypervisor import Refusal
from pipeline.guestlist.schema.table import Fields, Key, Section
from pipeline.hypervisors.toolstack import Toolstack
from pipeline.model.guest import Guest
from pipeline.model.sizes import MIB


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as a hypervisor sees it."""

    number: int
    """Its place among the guest's disks. Root has 0, swap 1, and the others follow, whether there is swap or not."""
    image: PurePosixPath
    name: str | None = None
    """What the list calls it; root and swap are known by their places."""
    read_only: bool = False


SEED = 20
"""The seed's place, which is after those of all other disks and of network cards, see pc.py: it moves none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Paths on the host, as a hypervisor's configuration names them."""

    root: PurePosixPath
    swap: PurePosixPath | None
    kernel: PurePosixPath
    ramdisk: PurePosixPath | None

    boot: PurePosixPath
    """The disk with a boot loader, where there is one."""
    header: PurePosixPath
    """What makes a whole disk of the root disk, where there is such."""
    header_size: int = MIB
    """In bytes."""

    others: Mapping[str, PurePosixPath] = field(default_factory=dict)
    """The disks besides root and swap, by name."""

    seed: PurePosixPath | None = None
    """The disk that tells cloud-init who the guest is, where that does."""
    seed_size: int = MIB
    """In bytes."""

    @property
    def disks(self) -> tuple[Disk, ...]:
        """The disks in the order in which the guest has them: the first is the root disk."""
        swap = () if self.swap is None else (Disk(1, self.swap),)
        others = (Disk(number, image, name) for number, (name, image) in enumerate(self.others.items(), start=2))
        seed = () if self.seed is None else (Disk(SEED, self.seed, "seed", read_only=True),)
        return (Disk(0, self.root), *swap, *others, *seed)


class Start(Enum):
    """What starts a guest, and which file that takes besides its disks."""

    KERNEL = auto()
    """The kernel and the initrd beside its disks, or those of the host."""
    ROOT_DISK = auto()
    """Something of the host's that looks into the root disk."""
    BOOT_DISK = auto()
    """A small disk with a boot loader, beside the root disk."""
    HEADER = auto()
    """A header with a boot loader, joined with the root disk's image to a whole disk."""


SERIAL_AND_SCREEN = ("console=tty0", "console=ttyS0,115200")
"""What the kernel is told about where to talk; the last one is /dev/console."""

# GRUB hands on quotes that a kernel takes for quotes, but cannot have any within a word: lib/cmdline.c of its source,
# and next_arg() in lib/cmdline.c of Linux's.
_WORD = re.compile(r'(?:[^\s"\'\\]+|"[^"\'\\]*"|[^\s"\'\\=]+="[^"\'\\]*")(?!\S)')


def arguments(guest: Guest) -> tuple[str, ...]:
    """What a boot loader tells the guest's kernel besides where its root file system is."""
    return (*SERIAL_AND_SCREEN, *(word.replace('"', "") for word in _WORD.findall(guest.extra)))


def refusals(guest: Guest) -> Iterator[Refusal]:
    """What the guest must not have if it is started from its disk by a boot loader of ours."""
    yield from own_kernel_refusals(guest)
    if _WORD.sub("", guest.extra).strip():
        hint = "quote a whole value if it has a blank, and use no other quotes or backslashes"
        yield Refusal(EXTRA, "boots it by GRUB, which cannot hand on these arguments", hint)


def own_kernel_refusals(guest: Guest) -> Iterator[Refusal]:
    """What the guest must not have if its kernel is that in its root disk."""
    if guest.host_kernel is not None:
        yield Refusal(KERNEL, "boots the kernel in its root disk, not one of the host", "say 'kernel: none'")


@dataclass(frozen=True, slots=True)
class KernelNeed:
    """What the kernel of a guest has to be built with."""

    kind: str
    """The kind of guest, as its name follows "a"."""
    key: str
    """The key of guests.yaml that the need comes from."""
    value: str
    """The value of that key."""
    option: str
    """The option that kernels of today need for it."""
    is_met: Callable[[str], bool]
    """Whether a kernel with this configuration, which is a text of lines, has it."""


class Hypervisor(ABC):
    """A hypervisor, or a program that runs virtual machines.

    A module of this package that defines a subclass is all that it takes to add one. Only `toolstack` starts programs.
    """

    name: ClassVar[str]
    """What guests.yaml calls it."""
    suffix: ClassVar[str]
    """What the name of its configuration's file ends with, without the dot."""
    executable: ClassVar[bool] = False
    """Whether the configuration is a program."""
    options: ClassVar[Section]
    """The keys that it alone has, in a section of its name."""
    unsupported_keys: ClassVar[Collection[Key[Any]]] = ()
    """Keys of guests that it has nothing for: they have to be left at their defaults."""
    toolstack: ClassVar[Toolstack | None] = None
    """What runs guests by its configurations on this host; None where doit starts none."""

    @abstractmethod
    def configure(self, fields: Fields) -> Any:  # noqa: ANN401  # each has a class of its own for it
        """The options of a guest, which become guest.options[name]. Raises BrokenError."""

    @abstractmethod
    def render(self, guest: Guest, files: Files) -> str:
        """The configuration of `guest`."""

    def descriptors(self, guest: Guest, files: Files) -> Mapping[str, str]:
        """The other files of the configuration, by their names."""
        return {}

    @abstractmethod
    def start(self, guest: Guest) -> Start:
        """What `guest` is started by."""

    def refusals(self, guest: Guest) -> Iterable[Refusal]:
        """What it cannot do for `guest`."""
        return ()

    @abstractmethod
    def drivers(self, guest: Guest) -> Collection[str]:
        """The kernel modules of which `guest` needs one to find its disks."""

    def kernel_need(self, guest: Guest) -> KernelNeed | None:
        """What the guest's kernel has to be built with to be started directly, where not every kernel is."""
        return None
