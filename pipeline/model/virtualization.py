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


class XenType(StrEnum):
    """How Xen virtualizes a guest; see xl.cfg(5)."""

    PV = "pv"
    PVH = "pvh"
    HVM = "hvm"


class XenDevices(StrEnum):
    """What the first disk is called: sda1 by kernels with Xen's own patches, such as 2.6.18."""

    XVDA1 = "xvda1"
    SDA1 = "sda1"


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
class Xen:
    """What only Xen has to know of a guest."""

    type: XenType
    device_names: XenDevices
    boot: Boot = Boot.KERNEL
    """HVM guests boot from their disks, whatever this says."""


class LibvirtType(StrEnum):
    """What libvirt runs a guest by: the processor, or emulation."""

    KVM = "kvm"
    QEMU = "qemu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Libvirt:
    """What only libvirt has to know of a guest."""

    type: LibvirtType
    boot: Boot = Boot.KERNEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Qemu:
    """What only QEMU's script has to know of a guest."""

    boot: Boot = Boot.KERNEL


class Adapter(StrEnum):
    """What VMware's guests have their disks on."""

    PVSCSI = "pvscsi"
    LSILOGIC = "lsilogic"
    SATA = "sata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vmware:
    """What only VMware has to know of a guest."""

    adapter: Adapter = Adapter.PVSCSI
    guest_os: str = "otherlinux-64"
    """What VMware calls the operating system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKernel:
    """A kernel of the host that a guest boots instead of its master's: paths on the host."""

    kernel: PurePosixPath
    ramdisk: PurePosixPath | None = None
