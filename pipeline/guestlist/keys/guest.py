"""The keys that a guest may have, and what they mean."""

from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from pipeline.guestlist.keys import names
from pipeline.guestlist.keys.disk import DISKS
from pipeline.guestlist.keys.file import FILES
from pipeline.guestlist.keys.hypervisor import DESCRIPTION, FIRMWARE
from pipeline.guestlist.keys.nic import FIRST, NETWORK
from pipeline.guestlist.keys.role import ROLES
from pipeline.guestlist.keys.unit import UNITS
from pipeline.guestlist.keys.user import USERS
from pipeline.guestlist.keys.variable import VARS
from pipeline.guestlist.schema.readers import Choice, Many, Number, Or, Size
from pipeline.guestlist.schema.table import Key, Section, Shorthand, Table
from pipeline.model.disk import Allocation, FileSystem
from pipeline.model.master import Identity
from pipeline.model.sizes import GIB, KIB, MIB, TIB
from pipeline.model.user import HostKey
from pipeline.model.virtualization import Action

_PATH = Or("none", names.ABSOLUTE_PATH)


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

TIMEZONE: Final[Key[str | None]] = Key(
    "timezone", Or("none", names.TIMEZONE), "the time zone; none: the master's", None
)
LOCALE: Final[Key[str | None]] = Key("locale", Or("none", names.LOCALE), "its language; none: the master's", None)
KEYBOARD: Final[Key[str | None]] = Key(
    "keyboard", Or("none", names.KEYBOARD), "the layout of its keyboard; none: the master's", None
)

# An RSA key takes a second of a processor; what knows neither of the others is older than OpenSSH 5.7 of 2011.
HOST_KEYS: Final[Key[tuple[HostKey, ...] | None]] = Key(
    "host_keys",
    Or("first-boot", Many(Choice(tuple(HostKey)))),
    "the kinds of SSH host keys that it has from the first boot on, or that the first boot makes them",
    (HostKey.ED25519, HostKey.ECDSA),
)

IDENTITY: Final[Key[Identity | None]] = Key(
    "identity",
    Choice(tuple(Identity)),
    "what tells it its name, network, users and SSH host keys; what its master says, or files, if not given",
    None,
)

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

GUEST: Final = Table(
    *(MASTER, MEMORY, MAXMEM, VCPUS, MAXVCPUS, ROOT, SWAP, DISKS),
    *(NETWORK, Shorthand("address", FIRST.address, NETWORK), FIRST.mac),
    *(USERS, ROLES, FILES, UNITS, VARS, HOST_KEYS, IDENTITY),
    *(TIMEZONE, LOCALE, KEYBOARD),
    *(HYPERVISORS, KERNEL, RAMDISK, EXTRA, ON_POWEROFF, ON_REBOOT, ON_CRASH),
    *(DESCRIPTION, FIRMWARE),
)
"""The keys of every guest."""


@cache
def guest_table(options: tuple[Section, ...]) -> Table:
    """The keys of a guest, with the `options` of hypervisors."""
    return Table(*GUEST.items.values(), *options)
