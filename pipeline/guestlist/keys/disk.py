"""The disks that a guest has besides root and swap: their keys, and what they mean."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.keys import names
from pipeline.guestlist.schema.readers import Choice, Matching, Or, Parsed, Schema, Size
from pipeline.guestlist.schema.table import Field, Fields, Key, Section, Table
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, entries_of, fault
from pipeline.model.disk import Allocation, FileSystem
from pipeline.model.sizes import MIB, TIB

MAX_DISKS = 10
"""As many as have a place of their own on the PC's bus before the network cards, see hypervisors/pc.py."""

_NAME = Matching(
    "the name of a disk like data",
    "[a-z0-9][a-z0-9_-]{0,19}",  # VIRTIO_BLK_ID_BYTES of linux/virtio_blk.h is 20
    "20 lower case letters, digits, '-' and '_' at most; start with a letter or digit",
)
_TAKEN = ("boot", "efi", "header", "initrd", "kernel", "root", "seed", "swap", "vmlinuz", "whole")
"""What a guest's own files are called, or may be one day: a disk's file is NAME.img beside them."""

_NOT_FOR_DISKS = ("dev", "proc", "run", "sys")


def _parse_mount_point(text: str) -> PurePosixPath:
    path = names.parse_absolute_path(text)
    parts = path.parts[1:]
    if not parts:
        raise GuestfarmError("the root disk is mounted there", "mount it elsewhere, as /srv")
    if parts[0] in _NOT_FOR_DISKS:
        raise GuestfarmError(f"/{parts[0]} is made anew whenever the guest starts", "mount it elsewhere, as /srv")
    return PurePosixPath("/", *parts)


# The same limits as for the root disk.
SIZE: Final = Key("disk.size", Size(MIB, 16 * TIB, MIB), "its size")
FS: Final[Key[FileSystem | None]] = Key(
    "disk.fs", Or("none", Choice(tuple(FileSystem))), "its file system; none for zeros alone", FileSystem.EXT4
)
ALLOCATE: Final = Key(
    "disk.allocate",
    Choice(tuple(Allocation)),
    "whether it takes its space when it is made (full) or when it is written to (sparse)",
    Allocation.SPARSE,
)
MOUNT: Final[Key[PurePosixPath | None]] = Key(
    "disk.mount",
    Or("none", Parsed("an absolute path", _parse_mount_point, names.ABSOLUTE_PATH.like)),
    "where the guest mounts it: a line in its fstab, by UUID",
    None,
)
# EXT2_LABEL_LEN of ext2_fs.h is 16.
LABEL: Final[Key[str | None]] = Key(
    "disk.label",
    Or("none", Matching("a label like data", "[!-~]{1,16}", "16 ASCII characters without blanks at most")),
    "the label of its file system",
    None,
)
DISK: Final = Section("disk", Table(SIZE, FS, ALLOCATE, MOUNT, LABEL), "a disk", short=SIZE)


_OF_FILE_SYSTEMS: tuple[Key[Any], ...] = (MOUNT, LABEL)


class DisksReader:
    """Disks by name: {data: 10G, logs: {size: 1G, fs: ext3, mount: /var/log}}."""

    form = "a mapping of names to disks like {data: 10G}"
    table = DISK.table

    @property
    def schema(self) -> Schema:
        """The names, and what a disk may be."""
        return {
            "type": ["object", "null"],
            "patternProperties": {_NAME.schema["pattern"]: DISK.schema},
            "additionalProperties": False,
            "maxProperties": MAX_DISKS,
        }

    def read(self, node: Node) -> Mapping[str, Fields]:
        """The fields of each disk, in the order of the list. Raises ReadingError with all that is wrong with them."""
        entries = entries_of(node, self.form)
        faults: list[Fault] = []
        disks: dict[str, Fields] = {}
        for name, (key, value) in entries.items():
            fields: dict[str, Field] = {}
            found = [*_name_faults(key), *DISK.read(value, fields)]
            disks[name] = Fields(fields)
            found += [fault(key, f"{_short(each)} is missing", "give its size") for each in DISK.missing(disks[name])]
            faults += [each.under(name) for each in found]
        if len(entries) > MAX_DISKS:
            faults.append(
                fault(node, f"{len(entries)} disks", f"a guest has {MAX_DISKS} at most besides root and swap")
            )
        if not faults:
            faults += _contradictions(disks)
        if faults:
            raise ReadingError(*faults)
        return disks


DISKS: Final[Key[Mapping[str, Fields] | None]] = Key(
    "disks", Or("none", DisksReader()), "more disks by name; a guest's own take the place of all of the defaults'", None
)


def _name_faults(key: Node) -> Iterator[Fault]:
    try:
        name = _NAME.read(key)
    except ReadingError as error:
        yield from error.faults
        return
    if name in _TAKEN:
        yield fault(key, f"the name {quoted(name)} is that of another file of the guest", "choose another")


def _contradictions(disks: Mapping[str, Fields]) -> Iterator[Fault]:
    mounted: dict[PurePosixPath, str] = {}
    for name, fields in disks.items():
        for key in _OF_FILE_SYSTEMS:
            if fields[key] is not None and fields[FS] is None:
                hint = f"say fs: ext4, or {_short(key)}: none"
                yield fault(fields.node(key), f"a disk without a file system has no {_short(key)}", hint, (name,))
        point = fields[MOUNT]
        if point is not None and (other := mounted.setdefault(point, name)) != name:
            message = f"{quoted(other)} is mounted at {point} already"
            yield fault(fields.node(MOUNT), message, "choose another place", (name, "mount"))


def _short(key: Key[Any]) -> str:
    return key.name.rpartition(".")[2]
