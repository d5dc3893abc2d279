"""What a farm is: plain, frozen values that the guest list is turned into and everything else is made from.

All sizes are bytes as int.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from uuid import UUID

from pipeline.errors import Problem
from pipeline.farm import units
from pipeline.farm.addresses import Address, Interface, Network
from pipeline.farm.layout import Layout


class FileSystem(StrEnum):
    """The file systems that Guestfarm makes."""

    EXT2 = "ext2"
    EXT3 = "ext3"
    EXT4 = "ext4"


class Allocation(StrEnum):
    """Whether a disk takes its space when it is made (full) or when its guest writes to it (sparse)."""

    SPARSE = "sparse"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A master made from Debian's packages, by mmdebstrap."""

    suite: str
    packages: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    keyring: Path | None = None
    variant: str = "minbase"
    run: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tar:
    """A master that is a root file system in a tar file: plain, gz, xz or zst."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A master that is a folder of the host."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A master that is an ext2, ext3 or ext4 image made by hand."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Oci:
    """A master that is an image of an OCI image layout, a folder."""

    path: Path
    tag: str | None = None
    """None: the only one for the processor of guests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A master that is the root file system of a whole disk, raw or qcow2, as clouds have them."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A master that is another one with more packages in it, or changed by commands."""

    parent: "Master"
    packages: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


class Family(StrEnum):
    """Where a guest's system looks for its name, its clock and the like; of the network, its tool decides."""

    DEBIAN = "debian"
    REDHAT = "redhat"
    SUSE = "suse"
    GENERIC = "generic"
    """As systemd and BusyBox have it, where no distribution has its own way."""
    NONE = "none"
    """The same, and nothing of the network: the guest's own files say it."""


class Identity(StrEnum):
    """What tells a guest who it is: its name, network, users, and SSH host keys."""

    FILES = "files"
    """Files on its root disk, which are there before it boots."""
    CLOUD_INIT = "cloud-init"
    """cloud-init in it, by a seed: a small disk with what it is to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """What guests' root file systems start from."""

    name: str
    source: "Source"
    kernel: PurePosixPath | None = None
    """The kernel inside the master; None: the one that /vmlinuz or /boot/vmlinuz leads to, else the newest."""
    initrd: PurePosixPath | None = None
    family: Family | None = None
    """None: what its os-release(5) says."""
    identity: Identity = Identity.FILES
    """Of guests that say nothing of theirs."""


Source = Bootstrap | Tar | Directory | Image | Oci | Cloud | Derived
"""What a master is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """One populated root file system that many guests are clones of."""

    master: Master
    filesystem: FileSystem | None
    """None: the file system that an image master has."""
    size: int
    allocation: Allocation

    @property
    def name(self) -> str:
        """For people and for paths, as debian-ext4-2G; different for different bases."""
        parts = [self.master.name, self.filesystem or "image", units.format_size(self.size)]
        return "-".join(parts + ["full"] * (self.allocation is Allocation.FULL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk that a guest has besides root and swap."""

    name: str
    size: int
    filesystem: FileSystem | None
    """None: zeros alone."""
    allocation: Allocation
    mount: PurePosixPath | None
    """Where the guest mounts it, if it does."""
    label: str | None
    uuid: UUID
    """Of its file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to a network besides that through the gateway."""

    to: Network
    via: Address


class NicModel(StrEnum):
    """Cards that full virtualization can imitate. Xen's PV and PVH guests have none: theirs is always Xen's own."""

    VIRTIO = "virtio"
    E1000 = "e1000"
    E1000E = "e1000e"
    RTL8139 = "rtl8139"
    VMXNET3 = "vmxnet3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A network interface: a MAC address on a bridge of the host, and what the guest does with it."""

    mac: str
    """Six lower case hexadecimal pairs with colons."""
    bridge: str
    addresses: tuple[Interface, ...] = ()
    """The fixed ones, IPv4 and IPv6, in the order of the list."""
    dhcp4: bool = False
    dhcp6: bool = False
    accept_ra: bool | None = None
    """Whether IPv6 routers may configure it by their advertisements; None: as the guest's system has it."""
    gateways: tuple[Address, ...] = ()
    """The way out: at most one for each version of IP."""
    routes: tuple[Route, ...] = ()
    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    """The domains that names without a dot are looked for in."""
    mtu: int | None = None
    """Bytes in a packet; None: 1500, or what DHCP says."""
    vlan: int | None = None
    """The 802.1Q tag of all its packets: the addresses are those of a VLAN interface on the card."""
    model: NicModel | None = None
    """The card that full virtualization imitates; None: what each hypervisor has by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of a guest; what is None or empty stays what the master has, or is what useradd(8) would choose."""

    name: str
    keys: tuple[str | Path, ...] | None = None
    """Lines for authorized_keys, and files of such lines; None: the master's."""
    password: str | None = None
    """A hash as in crypt(5)."""
    locked: bool | None = None
    sudo: tuple[str, ...] = ()
    """What may follow the user in sudoers(5)."""
    groups: tuple[str, ...] = ()
    shell: PurePosixPath | None = None
    uid: int | None = None
    gid: int | None = None
    home: PurePosixPath | None = None
    comment: str | None = None


Variables = tuple[tuple[str, str | tuple[str, ...]], ...]
"""What templates are filled with: names, each with a text or a list of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFile:
    """A file that the list puts into a guest."""

    path: PurePosixPath
    text: str | None = None
    source: Path | None = None
    """A file of this machine that it is a copy of; where there is none, it has the text."""
    mode: int | None = None
    owner: str = "root"
    group: str | None = None
    template: bool = field(default=False, repr=False)  # filled in, it is a file as any other: so its digest is, too
    """Whether text and source are in Jinja2's language, still to be filled in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutDirectory:
    """A directory that the list has in a guest; what is in it stays."""

    path: PurePosixPath
    mode: int | None = None
    owner: str = "root"
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutLink:
    """A symlink that the list puts into a guest."""

    path: PurePosixPath
    target: str
    owner: str = "root"
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """What the list removes from a guest, with all that is in it."""

    path: PurePosixPath


Put = PutFile | PutDirectory | PutLink | Absent
"""What the list says of a path in a guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeItem:
    """A file, directory or symlink in a folder of this machine that goes into guests."""

    path: str
    """Relative to the folder."""
    mode: int
    data: bytes | None = None
    """What is in it, if it is a file."""
    target: str | None = None
    """Where it leads, if it is a symlink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The names of systemd's units that are to be enabled, disabled and masked."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A bundle of files, units and variables that guests have in common."""

    name: str
    tree: Path | None
    files: tuple[Put, ...]
    variables: Variables = ()
    units: Units = Units()


class HostKey(StrEnum):
    """The kinds of host keys that sshd has today; see ssh-keygen(1)."""

    ED25519 = "ed25519"
    ECDSA = "ecdsa"
    RSA = "rsa"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One virtual machine, with nothing left to default or derive."""

    name: str
    base: Base
    memory: int
    maxmem: int
    """What the host may give it while it runs; no less than `memory`."""
    vcpus: int
    maxvcpus: int
    """What the host may give it while it runs; no less than `vcpus`."""
    swap: int | None
    disks: tuple[Disk, ...]
    """What it has besides root and swap, in the order of the list."""
    nics: tuple[Nic, ...]
    users: tuple[User, ...]
    roles: tuple[Role, ...]
    files: tuple[Put, ...]
    units: Units = Units()
    """Its own, which win over those of roles."""
    shared_variables: Variables
    """Of the defaults: those of roles win over them."""
    variables: Variables
    """Its own, which win over those of roles."""
    host_keys: tuple[HostKey, ...] | None
    """The kinds of SSH host keys that it has before it boots; None: its first boot makes them."""
    hypervisors: tuple[str, ...]
    host_kernel: HostKernel | None
    extra: str
    """Arguments for the kernel besides ours, separated by blanks."""
    on_poweroff: Action
    on_reboot: Action
    on_crash: Action
    xen: Xen
    libvirt: Libvirt
    qemu: Qemu = Qemu()
    vmware: Vmware = Vmware()
    identity: Identity = Identity.FILES
    firmware: Firmware = Firmware.BIOS
    description: str | None = None
    """For people, in hypervisors' configurations."""
    uuid: UUID
    """Its own, as hypervisors know it."""
    root_uuid: UUID
    swap_uuid: UUID
    machine_id: str
    """32 lower case hexadecimal digits, as in machine-id(5)."""
    timezone: str | None
    """As Europe/Berlin; None: the master's, and so with the next two."""
    locale: str | None
    """What LANG is, as de_DE.UTF-8."""
    keyboard: str | None
    """The layout, and perhaps its variant, as de or de-nodeadkeys."""


@dataclass(frozen=True, slots=True)
class DriverNeed:
    """Something to warn of, should a master have none of some drivers."""

    master: str
    hypervisor: str
    drivers: frozenset[str]
    """The names of kernel modules, with _ for -."""
    problem: Problem


Note = Problem | DriverNeed
"""What is, or may turn out to be, worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """The whole guest list."""

    name: str
    images: PurePosixPath
    """Where the host that runs the guests keeps their disks."""
    masters: Mapping[str, Master]
    guests: Mapping[str, Guest]
    """By name, in the order of the list."""
    warnings: tuple[Problem, ...] = ()
    """What is likely to be a mistake, though the list may say it."""
    driver_needs: tuple[DriverNeed, ...] = ()
    """The same, where it depends on what is in masters; each at the first guest that has it."""
    sizes: tuple[int, ...] = ()
    """How many guests each entry of the list stands for."""
    layout: Layout | None = None
    """Where in the list these entries are, as far as that is plain."""

    @property
    def bases(self) -> tuple[Base, ...]:
        """Every base that a guest asks for, once, in the order in which guests first ask."""
        return tuple(dict.fromkeys(guest.base for guest in self.guests.values()))
