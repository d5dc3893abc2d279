"""What hypervisors have to know of a guest."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath


class Action(StrEnum):
    """What a hypervisor does with a guest that has ended in some way."""

    DESTROY = "destroy"
    RESTART = "restart"
    PRESERVE = "preserve"
    COREDUMP_DESTROY = "coredump-destroy"
    COREDUMP_RESTART = "coredump-restart"


class Boot(StrEnum):
    """What a hypervisor starts a guest by."""

    KERNEL = "kernel"
    """A kernel that the host gives it."""
    PYGRUB = "pygrub"
    """The kernel that Xen's pygrub(1) takes out of the root disk, by the guest's own GRUB menu."""
    DISK = "disk"
    """A boot loader, as firmware does."""


class Firmware(StrEnum):
    """What a guest with a whole PC has in its ROM."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKernel:
    """A kernel of the host that a guest boots instead of its master's: paths on the host."""

    kernel: PurePosixPath
    ramdisk: PurePosixPath | None = None
