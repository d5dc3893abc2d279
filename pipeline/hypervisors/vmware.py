"""VMware: a .vmx file and VMDK descriptors, for a guest that boots from its disk, of which nothing is copied.

VMware has no list of the keys of .vmx files. These are where it says what they mean, and its own files and libvirt's
reader of them (src/vmx/vmx.c) have the rest. A file name in one is relative to it.

    uuid.bios, uuid.action         knowledge base 320246 (once 1541); the handbook of Workstation 7, page 218
    ethernetN.address, its type    administration guide of ESX Server 2.5, "Setting MAC Addresses Manually"
    ethernetN.virtualDev           knowledge base 1001805
    scsi0.virtualDev, and place 7  vSphere 5.1's handbook, page GUID-5872D173-A076-42FE-8D0B-9DB0EB0E7362
    firmware                       VMware's "Using EFI/UEFI firmware in a VMware Virtual Machine"; without it: BIOS
    serial0.*                      administration guide of ESX Server 2.5, on serial ports
    virtualHW.version              knowledge base 1003746
    pciBridgeN.*                   knowledge base 2047927 has the first; ESXi 5.5 writes these five so
    all others, but uuid.action    libvirt's reader, as for most of those above
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from pipeline.guestlist.keys.guest import MAXMEM, MAXVCPUS, MEMORY, ON_CRASH, ON_POWEROFF, ON_REBOOT, ROOT_SIZE
from pipeline.guestlist.keys.hypervisor import Refusal
from pipeline.guestlist.keys.nic import NETWORK
from pipeline.guestlist.schema.readers import Choice, Matching
from pipeline.guestlist.schema.table import Fields, Key, Section, Table
from pipeline.hypervisors import vmdk
from pipeline.hypervisors.base import Files, Hypervisor, Start
from pipeline.hypervisors.base import refusals as refusals_of_boot_loaders
from pipeline.hypervisors.vmdk import Extent
from pipeline.model.guest import Guest
from pipeline.model.network import Nic, NicModel
from pipeline.model.sizes import MIB, TIB
from pipeline.model.virtualization import Firmware


class Adapter(StrEnum):
    """What VMware's guests have their disks on."""

    PVSCSI = "pvscsi"
    LSILOGIC = "lsilogic"
    SATA = "sata"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmwareOptions:
    """What only VMware has to know of a guest."""

    adapter: Adapter = Adapter.PVSCSI
    guest_os: str = "otherlinux-64"
    """What VMware calls the operating system."""


ADAPTER: Final = Key("vmware.adapter", Choice(tuple(Adapter)), "what its disks are on", Adapter.PVSCSI)
GUEST_OS: Final = Key(
    "vmware.guest_os",
    Matching("what VMware calls an operating system, as debian12-64", "[A-Za-z0-9][A-Za-z0-9_-]{0,39}"),
    "what VMware takes its operating system for",
    "otherlinux-64",
)

_MEMORY_STEP = 4 * MIB
_MOST_ROOT = 2 * TIB - 4 * MIB
"""With the header before it, a partition table of the PC's kind has no room for more."""

_MODELS = {
    None: "vmxnet3",
    NicModel.VMXNET3: "vmxnet3",
    NicModel.E1000: "e1000",
    NicModel.E1000E: "e1000e",
}
_DRIVERS = {
    Adapter.PVSCSI: ("vmw_pvscsi",),
    Adapter.LSILOGIC: ("mptspi",),
    Adapter.SATA: ("ahci",),
}
_STATIC_MACS = ("00:50:56:00", "00:50:56:3f:ff:ff")
"""From the first to the last that VMware takes for one given by hand; others must not be checked."""

_RESERVED_SLOT = 7
"""Where a SCSI adapter is itself."""


def options_of(guest: Guest) -> VmwareOptions:
    """What only Vmware has to know of `guest`."""
    options: VmwareOptions = guest.options["vmware"]
    return options


class Vmware(Hypervisor):
    """VMware."""

    name = "vmware"
    suffix = "vmx"
    options = Section("vmware", Table(ADAPTER, GUEST_OS), "what is VMware's alone")
    unsupported_keys = (MAXMEM, MAXVCPUS, ON_POWEROFF, ON_REBOOT, ON_CRASH)

    def configure(self, fields: Fields) -> VmwareOptions:
        """The options of a guest. Raises BrokenError."""
        return VmwareOptions(adapter=fields[ADAPTER], guest_os=fields[GUEST_OS])

    def start(self, guest: Guest) -> Start:
        """A header before the root disk."""
        return Start.HEADER

    def drivers(self, guest: Guest) -> Collection[str]:
        """Those of the adapter."""
        return _DRIVERS[options_of(guest).adapter]

    def refusals(self, guest: Guest) -> Iterator[Refusal]:
        """What VMware's virtual machines cannot be."""
        yield from refusals_of_boot_loaders(guest)
        if guest.memory % _MEMORY_STEP:
            yield Refusal(MEMORY, "counts memory in steps of 4M", "give a multiple of 4M")
        if guest.base.size > _MOST_ROOT:
            yield Refusal(ROOT_SIZE, "boots from root disks of less than 2T", "give a smaller one, and more disks")
        for number, nic in enumerate(guest.nics):
            if nic.model not in _MODELS:
                known = ", ".join(model for model in _MODELS if model)
                yield Refusal(NETWORK, f"has no {nic.model} card", f"known: {known}", number)

    def descriptors(self, guest: Guest, files: Files) -> Mapping[str, str]:
        """A VMDK descriptor for each disk, by its file name."""
        return {name: vmdk.descriptor(extents) for name, extents in _disks(guest, files)}

    def render(self, guest: Guest, files: Files) -> str:
        """The .vmx file of `guest`."""
        return "".join(f"{key} = {_quoted(value)}\n" for key, value in _settings(guest, files))


def _settings(guest: Guest, files: Files) -> Iterator[tuple[str, str]]:
    yield ".encoding", "UTF-8"
    yield "config.version", "8"
    yield "virtualHW.version", str(vmdk.HARDWARE)
    yield "displayName", guest.name
    if guest.description is not None:
        yield "annotation", guest.description
    yield "guestOS", options_of(guest).guest_os
    if guest.firmware is Firmware.UEFI:
        yield "firmware", "efi"
    yield "uuid.bios", _uuid(guest)
    yield "uuid.action", "keep"  # without asking whether it was copied or moved
    yield "memsize", str(guest.memory // MIB)
    yield "numvcpus", str(guest.vcpus)
    for number in (0, 4, 5, 6, 7):  # what PCI Express cards are on; VMware gives each of them its place, and keeps it
        yield f"pciBridge{number}.present", "TRUE"
        if number:
            yield f"pciBridge{number}.virtualDev", "pcieRootPort"
            yield f"pciBridge{number}.functions", "8"
    yield from _controller(guest)
    for number, (name, _) in enumerate(_disks(guest, files)):
        place = f"{_bus(guest)}0:{number if number < _RESERVED_SLOT else number + 1}"
        yield f"{place}.present", "TRUE"
        yield f"{place}.fileName", name
        yield f"{place}.deviceType", "disk" if options_of(guest).adapter is Adapter.SATA else "scsi-hardDisk"
    for number, nic in enumerate(guest.nics):
        yield from ((f"ethernet{number}.{key}", value) for key, value in _card(nic))
    yield "serial0.present", "TRUE"
    yield "serial0.fileType", "file"
    yield "serial0.fileName", f"{guest.name}.serial.log"
    yield "floppy0.present", "FALSE"


def _controller(guest: Guest) -> Iterator[tuple[str, str]]:
    yield f"{_bus(guest)}0.present", "TRUE"
    if options_of(guest).adapter is not Adapter.SATA:
        yield "scsi0.virtualDev", options_of(guest).adapter


def _card(nic: Nic) -> Iterator[tuple[str, str]]:
    yield "present", "TRUE"
    yield "virtualDev", _MODELS[nic.model]
    # vSphere goes by the name of a port group, which is the bridge's; Workstation by the type, and asks for no name.
    yield "connectionType", "bridged"
    yield "networkName", nic.bridge
    yield "addressType", "static"
    yield "address", nic.mac
    if not _STATIC_MACS[0] <= nic.mac <= _STATIC_MACS[1]:
        yield "checkMACAddress", "FALSE"


def _disks(guest: Guest, files: Files) -> Iterator[tuple[str, list[Extent]]]:
    """The descriptor's name and the extents of each disk; images are beside it, under the names that they have."""
    size = {disk.name: disk.size for disk in guest.disks}
    header = Extent(PurePath(files.header.name), files.header_size)
    yield f"{guest.name}.vmdk", [header, Extent(PurePath(files.root.name), guest.base.size)]
    if files.swap is not None and guest.swap is not None:
        yield f"{guest.name}-swap.vmdk", [Extent(PurePath(files.swap.name), guest.swap)]
    for name, image in files.others.items():
        yield f"{guest.name}-{name}.vmdk", [Extent(PurePath(image.name), size[name])]
    if files.seed is not None:
        yield f"{guest.name}-seed.vmdk", [Extent(PurePath(files.seed.name), files.seed_size)]


def _bus(guest: Guest) -> str:
    return "sata" if options_of(guest).adapter is Adapter.SATA else "scsi"


def _uuid(guest: Guest) -> str:
    """As VMware writes it: sixteen bytes, a dash in the middle."""
    pairs = [f"{byte:02x}" for byte in guest.uuid.bytes]
    return f"{' '.join(pairs[:8])}-{' '.join(pairs[8:])}"


def _quoted(text: str) -> str:
    """`text` as a value: what has a meaning there is | and two hexadecimal digits."""
    return '"' + "".join(f"|{ord(each):02X}" if each in '|"' or ord(each) < ord(" ") else each for each in text) + '"'
