"""The keys that a guest may have, and what they mean."""

from collections.abc import Collection
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

from pipeline.farm import names
from pipeline.farm.addresses import ADDRESS_LIKE, INTERFACE_LIKE, Address, Interface, parse_address, parse_interface
from pipeline.farm.disks import DISKS
from pipeline.farm.mac import MAC_LIKE, parse_mac
from pipeline.farm.model import Action, Allocation, FileSystem, LibvirtType, XenDevices, XenType
from pipeline.farm.nodes import Fault, Mapping, Node, ReadingError
from pipeline.farm.readers import Choice, Many, Number, Or, Parsed, Schema, Size
from pipeline.farm.table import Key, Section, Shorthand, Table
from pipeline.farm.units import GIB, KIB, MIB, TIB
from pipeline.farm.users import USERS

_PATH = Or("none", names.ABSOLUTE_PATH)


@dataclass(frozen=True, slots=True)
class Pin:
    """A MAC address that the list gives, and its place."""

    mac: str
    node: Node


@dataclass(frozen=True, slots=True)
class Pins:
    """The MAC addresses that an entry of the list gives."""

    one: Pin | None = None
    """For the entry's only guest."""
    by_guest: dict[str, Pin] = field(default_factory=dict)


class PinsReader:
    """A MAC address, or some for the guests of a range: {web07: 00:16:3e:12:34:56}."""

    form = "a MAC address like 00:16:3e:12:34:56, or a mapping of a range's guests to such"
    _mac = Parsed(form, parse_mac, MAC_LIKE)

    @property
    def schema(self) -> Schema:
        """One, or some."""
        return {"anyOf": [self._mac.schema, {"type": "object", "additionalProperties": self._mac.schema}]}

    def read(self, node: Node) -> Pins:
        """The addresses. Raises ReadingError with the faults of each."""
        if not isinstance(node, Mapping):
            return Pins(one=Pin(self._mac.read(node), node))
        pins: dict[str, Pin] = {}
        faults: list[Fault] = []
        for guest, (key, value) in node.entries.items():
            try:
                pins[guest] = Pin(self._mac.read(value), key)
            except ReadingError as error:
                faults.extend(found.under(guest) for found in error.faults)
        if len(pins) < len(node.entries):
            raise ReadingError(*faults)
        return Pins(by_guest=pins)


MASTER: Final = Key("master", replace(names.NAME, form="the name of a master"), "what the root disk starts from")
# Xen's tools count memory in MiB: xl.cfg(5).
MEMORY: Final = Key("memory", Size(16 * MIB, 16 * TIB, MIB), "main memory", 512 * MIB)
MAXMEM: Final[Key[int | None]] = Key(
    "maxmem", Or("none", MEMORY.reader), "main memory that the host may give it while it runs, if more", None
)
VCPUS: Final = Key("vcpus", Number(1, 4096), "virtual processors", 1)
MAXVCPUS: Final[Key[int | None]] = Key(
    "maxvcpus", Or("none", VCPUS.reader), "virtual processors that the host may give it while it runs, if more", None
)

ROOT_SIZE: Final = Key("root.size", Size(MIB, 16 * TIB, MIB), "the size of the root disk", 2 * GIB)
ROOT_FS: Final[Key[FileSystem | None]] = Key(
    "root.fs", Choice(tuple(FileSystem)), "its file system: ext4, or what an image master has", None
)
ROOT_ALLOCATE: Final = Key(
    "root.allocate",
    Choice(tuple(Allocation)),
    "whether it takes its space when it is made (full) or when it is written to (sparse)",
    Allocation.SPARSE,
)
ROOT: Final = Section("root", Table(ROOT_SIZE, ROOT_FS, ROOT_ALLOCATE), "the root disk", short=ROOT_SIZE)

# mkswap(8) refuses an area of less than ten pages.
SWAP: Final[Key[int | None]] = Key("swap", Or("none", Size(40 * KIB, 16 * TIB, 4 * KIB)), "the swap disk", None)

BRIDGE: Final = Key("network.bridge", names.BRIDGE, "the host's bridge that the guest is on")
ADDRESS: Final[Key[Interface | None]] = Key(
    "network.address",
    Or("dhcp", Parsed("an address with its prefix length like 10.0.0.11/24", parse_interface, INTERFACE_LIKE)),
    "the guest's own; with dhcp, gateway and nameservers of the defaults do not apply",
)
GATEWAY: Final[Key[Address | None]] = Key(
    "network.gateway",
    Or("none", Parsed("an IP address like 10.0.0.1", parse_address, ADDRESS_LIKE)),
    "the way out of the subnet",
    None,
)
NAMESERVERS: Final = Key(
    "network.nameservers",
    Many(Parsed("an IP address like 10.0.0.1", parse_address, ADDRESS_LIKE)),
    "who resolves names",
    (),
)
NETWORK: Final = Section(
    "network",
    Table(BRIDGE, ADDRESS, GATEWAY, NAMESERVERS),
    "the network card; without it, there is none",
    optional=True,
)
MAC: Final = Key("mac", PinsReader(), "the MAC address; derived from the names of farm and guest if not given", Pins())

HYPERVISORS: Final = Key("hypervisors", Many(names.HYPERVISOR, minimum=1), "what to configure it for", ("xen",))
KERNEL: Final[Key[PurePosixPath | None]] = Key("kernel", _PATH, "a kernel of the host to boot, not the master's", None)
RAMDISK: Final[Key[PurePosixPath | None]] = Key(
    "ramdisk", _PATH, "the initrd of the host for this kernel; with a kernel of its own, a guest needs its own", None
)
EXTRA: Final[Key[str | None]] = Key(
    "extra", Or("none", names.KERNEL_ARGUMENTS), "arguments for the kernel besides root= and console=", None
)

# The words that Xen and libvirt have in common, and their defaults: xl.cfg(5), https://libvirt.org/formatdomain.html.
ON_POWEROFF: Final = Key(
    "on_poweroff", Choice((Action.DESTROY, Action.RESTART)), "what follows when it powers off", Action.DESTROY
)
ON_REBOOT: Final = Key(
    "on_reboot", Choice((Action.RESTART, Action.DESTROY)), "what follows when it reboots", Action.RESTART
)
ON_CRASH: Final = Key("on_crash", Choice(tuple(Action)), "what follows when it crashes", Action.DESTROY)

XEN_TYPE: Final = Key("xen.type", Choice(tuple(XenType)), "how Xen virtualizes it", XenType.PV)
XEN_DEVICES: Final = Key(
    "xen.device_names", Choice(tuple(XenDevices)), "its first disk's name; sda1 for old kernels", XenDevices.XVDA1
)
XEN: Final = Section("xen", Table(XEN_TYPE, XEN_DEVICES), "what is Xen's alone", short=XEN_TYPE)
LIBVIRT_TYPE: Final = Key(
    "libvirt.type", Choice(tuple(LibvirtType)), "what runs it: kvm, or emulation by qemu", LibvirtType.KVM
)
LIBVIRT: Final = Section("libvirt", Table(LIBVIRT_TYPE), "what is libvirt's alone", short=LIBVIRT_TYPE)

GUEST: Final = Table(
    *(MASTER, MEMORY, MAXMEM, VCPUS, MAXVCPUS, ROOT, SWAP, DISKS),
    *(NETWORK, Shorthand("address", ADDRESS, NETWORK), MAC),
    USERS,
    *(HYPERVISORS, KERNEL, RAMDISK, EXTRA, ON_POWEROFF, ON_REBOOT, ON_CRASH),
    *(XEN, LIBVIRT),
)
OPTIONS: Final = (XEN, LIBVIRT)
"""Sections of what one hypervisor alone has, whose name they bear."""
SINGLE: Final = (ADDRESS, MAC)
"""The keys that two guests cannot share, so that they have no place under defaults."""

Hypervisors = MappingOf[str, Collection[Key[Any]]]
"""By name, what each hypervisor cannot express: keys that have to be left at their defaults."""
