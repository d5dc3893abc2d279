"""The keys of what a guest's hypervisors make of it: how each starts it, and what only one of them has to know."""

from typing import Final

from pipeline.guestlist.schema.readers import Choice, Matching, Or
from pipeline.guestlist.schema.table import Key, Section, Table
from pipeline.model.virtualization import Adapter, Boot, Firmware, LibvirtType, XenDevices, XenType

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

XEN_TYPE: Final = Key("xen.type", Choice(tuple(XenType)), "how Xen virtualizes it", XenType.PV)
XEN_DEVICES: Final = Key(
    "xen.device_names", Choice(tuple(XenDevices)), "its first disk's name; sda1 for old kernels", XenDevices.XVDA1
)
XEN_BOOT: Final = Key(
    "xen.boot",
    Choice((Boot.KERNEL, Boot.PYGRUB)),
    "what it boots, unless its type is hvm: the kernel beside its disk, or the one that pygrub finds in it",
    Boot.KERNEL,
)
XEN: Final = Section("xen", Table(XEN_TYPE, XEN_DEVICES, XEN_BOOT), "what is Xen's alone", short=XEN_TYPE)

_BOOTS = Choice((Boot.KERNEL, Boot.DISK))
_BOOTS_DOC = "what it boots: the kernel beside its disk, or that in it, by a boot loader"
LIBVIRT_TYPE: Final = Key(
    "libvirt.type", Choice(tuple(LibvirtType)), "what runs it: kvm, or emulation by qemu", LibvirtType.KVM
)
LIBVIRT_BOOT: Final = Key("libvirt.boot", _BOOTS, _BOOTS_DOC, Boot.KERNEL)
LIBVIRT: Final = Section("libvirt", Table(LIBVIRT_TYPE, LIBVIRT_BOOT), "what is libvirt's alone", short=LIBVIRT_TYPE)

QEMU_BOOT: Final = Key("qemu.boot", _BOOTS, _BOOTS_DOC, Boot.KERNEL)
QEMU: Final = Section("qemu", Table(QEMU_BOOT), "what is QEMU's alone")

VMWARE_ADAPTER: Final = Key("vmware.adapter", Choice(tuple(Adapter)), "what its disks are on", Adapter.PVSCSI)
VMWARE_GUEST_OS: Final = Key(
    "vmware.guest_os",
    Matching("what VMware calls an operating system, as debian12-64", "[A-Za-z0-9][A-Za-z0-9_-]{0,39}"),
    "what VMware takes its operating system for",
    "otherlinux-64",
)
VMWARE: Final = Section("vmware", Table(VMWARE_ADAPTER, VMWARE_GUEST_OS), "what is VMware's alone")

OPTIONS: Final = (XEN, LIBVIRT, QEMU, VMWARE)
"""Sections of what one hypervisor alone has, whose name they bear."""
