"""libvirt: domain XML (https://libvirt.org/formatdomain.html), for a guest that boots its kernel, or a boot disk."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_lowercase
from typing import ClassVar, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.guestlist.keys.hypervisor import Refusal
from pipeline.guestlist.schema.readers import Choice
from pipeline.guestlist.schema.table import Fields, Key, Section, Table
from pipeline.hypervisors import pc, virsh
from pipeline.hypervisors.base import Files, Hypervisor, Start
from pipeline.hypervisors.toolstack import Toolstack
from pipeline.model.architecture import GUESTS
from pipeline.model.guest import Guest
from pipeline.model.network import NicModel
from pipeline.model.sizes import MIB
from pipeline.model.virtualization import Boot, Firmware


class LibvirtType(StrEnum):
    """What libvirt runs a guest by: the processor, or emulation."""

    KVM = "kvm"
    QEMU = "qemu"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtOptions:
    """What only libvirt has to know of a guest."""

    type: LibvirtType = LibvirtType.KVM
    boot: Boot = Boot.KERNEL


TYPE: Final = Key(
    "libvirt.type", Choice(tuple(LibvirtType)), "what runs it: kvm, or emulation by qemu", LibvirtType.KVM
)
BOOT: Final = Key("libvirt.boot", pc.BOOTS, pc.BOOTS_DOC, Boot.KERNEL)


def options_of(guest: Guest) -> LibvirtOptions:
    """What only Libvirt has to know of `guest`."""
    options: LibvirtOptions = guest.options["libvirt"]
    return options


class Libvirt(Hypervisor):
    """libvirt, by virsh."""

    name = "libvirt"
    suffix = "xml"
    options = Section("libvirt", Table(TYPE, BOOT), "what is libvirt's alone", short=TYPE)
    toolstack: ClassVar[Toolstack | None] = virsh

    def configure(self, fields: Fields) -> LibvirtOptions:
        """The options of a guest. Raises BrokenError."""
        return LibvirtOptions(type=fields[TYPE], boot=fields[BOOT])

    def start(self, guest: Guest) -> Start:
        """The kernel, or a boot disk."""
        return pc.start(options_of(guest).boot)

    def drivers(self, guest: Guest) -> Collection[str]:
        """That of virtio disks."""
        return pc.DRIVERS

    def refusals(self, guest: Guest) -> Iterable[Refusal]:
        """What does not go with a boot disk."""
        return pc.refusals(guest, options_of(guest).boot)

    def render(self, guest: Guest, files: Files) -> str:
        """The domain XML of `guest`, for `virsh define`."""
        domain = Element("domain", type=options_of(guest).type)
        _add(domain, "name", guest.name)
        _add(domain, "uuid", str(guest.uuid))
        if guest.description is not None:
            _add(domain, "description", guest.description)
        _add(domain, "memory", str(guest.maxmem // MIB), unit="MiB")
        _add(domain, "currentMemory", str(guest.memory // MIB), unit="MiB")
        _add(domain, "vcpu", str(guest.maxvcpus), current=str(guest.vcpus))
        _add_boot(domain, guest, files)
        features = _add(domain, "features")
        _add(features, "acpi")  # or `virsh shutdown` would have no power button to press
        _add(features, "apic")
        _add(domain, "cpu", mode="maximum")  # the host's, or all that emulation has
        _add(domain, "on_poweroff", guest.on_poweroff)
        _add(domain, "on_reboot", guest.on_reboot)
        _add(domain, "on_crash", guest.on_crash)
        _add_devices(domain, guest, files)
        indent(domain)
        return tostring(domain, encoding="unicode") + "\n"


def _add_boot(domain: Element, guest: Guest, files: Files) -> None:
    uefi = guest.firmware is Firmware.UEFI
    boot = _add(domain, "os", **({"firmware": "efi"} if uefi else {}))
    _add(boot, "type", "hvm", arch=GUESTS.libvirt, machine=GUESTS.machine)
    if uefi:  # nobody has signed what it boots
        _add(_add(boot, "firmware"), "feature", enabled="no", name="secure-boot")
    if pc.start(options_of(guest).boot) is Start.BOOT_DISK:
        return
    _add(boot, "kernel", str(files.kernel))
    if files.ramdisk is not None:
        _add(boot, "initrd", str(files.ramdisk))
    _add(boot, "cmdline", pc.command_line(guest, files))


def _add_devices(domain: Element, guest: Guest, files: Files) -> None:
    devices = _add(domain, "devices")
    for each in files.disks:
        disk = _add(devices, "disk", type="file", device="disk")
        _add(disk, "driver", name="qemu", type="raw")
        _add(disk, "source", file=str(each.image))
        _add(disk, "target", dev=f"vd{ascii_lowercase[each.number]}", bus="virtio")
        if each.number == 0 and pc.start(options_of(guest).boot) is Start.BOOT_DISK:
            _add(disk, "boot", order="2")  # OVMF looks for no disks but those that it may boot from
        if each.read_only:
            _add(disk, "readonly")
        if each.name is not None:
            _add(disk, "serial", each.name)
        _add_address(disk, pc.FIRST_DISK_SLOT + each.number)
    if pc.start(options_of(guest).boot) is Start.BOOT_DISK:
        disk = _add(devices, "disk", type="file", device="disk")
        _add(disk, "driver", name="qemu", type="raw")
        _add(disk, "source", file=str(files.boot))
        _add(disk, "target", dev="vdm", bus="virtio")
        _add(disk, "readonly")
        _add(disk, "boot", order="1")
        _add_address(disk, pc.BOOT_DISK_SLOT)
    for number, nic in enumerate(guest.nics):
        interface = _add(devices, "interface", type="bridge")
        _add(interface, "mac", address=nic.mac)
        _add(interface, "source", bridge=nic.bridge)
        _add(interface, "model", type=nic.model or NicModel.VIRTIO)
        if nic.mtu is not None:
            _add(interface, "mtu", size=str(nic.mtu))  # of the host's end, or large packets would not get through
        _add_address(interface, pc.FIRST_NIC_SLOT + number)
    _add(devices, "controller", type="usb", model="none")
    _add(devices, "serial", type="pty")
    _add(devices, "console", type="pty")
    _add(devices, "panic", model="isa")  # tells of a crash
    _add_address(_add(devices, "memballoon", model="virtio"), pc.BALLOON_SLOT)


def _add_address(device: Element, slot: int) -> None:
    _add(device, "address", type="pci", domain="0x0000", bus="0x00", slot=f"{slot:#04x}", function="0x0")


def _add(parent: Element, tag: str, text: str | None = None, /, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = text
    return element
