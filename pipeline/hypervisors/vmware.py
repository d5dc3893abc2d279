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
from pathlib import PurePath
from typing import Any

from pipeline.guestlist.keys.guest import MAXMEM, MAXVCPUS, MEMORY, ON_CRASH, ON_POWEROFF, ON_REBOOT, ROOT_SIZE, Refusal
from pipeline.guestlist.keys.nic import NETWORK
from pipeline.guestlist.schema.table import Key
from pipeline.hypervisors import vmdk
from pipeline.hypervisors.files import Files
from pipeline.hypervisors.start import Start
from pipeline.hypervisors.start import refusals as refusals_of_boot_loaders
from pipeline.hypervisors.vmdk import Extent
from pipeline.model.guest import Guest
from pipeline.model.network import Nic, NicModel
from pipeline.model.sizes import MIB, TIB
from pipeline.model.virtualization import Adapter, Firmware

suffix = "vmx"
executable = False
inexpressible: Collection[Key[Any]] = (MAXMEM, MAXVCPUS, ON_POWEROFF, ON_REBOOT, ON_CRASH)

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


def start(guest: Guest) -> Start:
    """A header before the root disk."""
    return Start.HEADER


def drivers(guest: Guest) -> Collection[str]:
    """Those of the adapter."""
    return _DRIVERS[guest.vmware.adapter]


def refusals(guest: Guest) -> Iterator[Refusal]:
    """What VMware's virtual machines cannot be."""
    yield from refusals_of_boot_loaders(guest)
    if guest.memory % _MEMORY_STEP:
        yield Refusal(MEMORY, "counts memory in steps of 4M", "give a multiple of 4M")
    if guest.base.size > _MOST_ROOT:
        yield Refusal(ROOT_SIZE, "boots from root disks of less than 2T", "give a smaller one, and more disks")
    for nic in guest.nics:
        if nic.model not in _MODELS:
            known = ", ".join(model for model in _MODELS if model)
            yield Refusal(NETWORK, f"has no {nic.model} card", f"known: {known}")


def descriptors(guest: Guest, files: Files) -> Mapping[str, str]:
    """A VMDK descriptor for each disk, by its file name."""
    return {name: vmdk.descriptor(extents) for name, extents in _disks(guest, files)}


def render(guest: Guest, files: Files) -> str:
    """The .vmx file of `guest`."""
    return "".join(f"{key} = {_quoted(value)}\n" for key, value in _settings(guest, files))


def _settings(guest: Guest, files: Files) -> Iterator[tuple[str, str]]:
    yield ".encoding", "UTF-8"
    yield "config.version", "8"
    yield "virtualHW.version", str(vmdk.HARDWARE)
    yield "displayName", guest.name
    if guest.description is not None:
        yield "annotation", guest.description
    yield "guestOS", guest.vmware.guest_os
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
        yield f"{place}.deviceType", "disk" if guest.vmware.adapter is Adapter.SATA else "scsi-hardDisk"
    for number, nic in enumerate(guest.nics):
        yield from ((f"ethernet{number}.{key}", value) for key, value in _card(nic))
    yield "serial0.present", "TRUE"
    yield "serial0.fileType", "file"
    yield "serial0.fileName", f"{guest.name}.serial.log"
    yield "floppy0.present", "FALSE"


def _controller(guest: Guest) -> Iterator[tuple[str, str]]:
    yield f"{_bus(guest)}0.present", "TRUE"
    if guest.vmware.adapter is not Adapter.SATA:
        yield "scsi0.virtualDev", guest.vmware.adapter


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
    return "sata" if guest.vmware.adapter is Adapter.SATA else "scsi"


def _uuid(guest: Guest) -> str:
    """As VMware writes it: sixteen bytes, a dash in the middle."""
    pairs = [f"{byte:02x}" for byte in guest.uuid.bytes]
    return f"{' '.join(pairs[:8])}-{' '.join(pairs[8:])}"


def _quoted(text: str) -> str:
    """`text` as a value: what has a meaning there is | and two hexadecimal digits."""
    return '"' + "".join(f"|{ord(each):02X}" if each in '|"' or ord(each) < ord(" ") else each for each in text) + '"'
