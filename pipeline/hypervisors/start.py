"""How a hypervisor comes to a guest's kernel, and what a guest must be like to be started from its disk."""

import re
from collections.abc import Iterator
from enum import Enum, auto

from pipeline.guestlist.keys.guest import EXTRA, KERNEL, Refusal
from pipeline.model.guest import Guest


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
