"""Roots of XFS, of btrfs and on logical volumes: found, put together and packed by libguestfs' appliance."""

import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipeline.errors import MasterError, quoted
from pipeline.image.layer import tar
from pipeline.image.layer.entries import Entry, HardLink, Layer, Removal
from pipeline.image.sources import guestfish
from pipeline.image.sources.guestfish import Appliance

KINDS: Final = ("xfs", "btrfs", "LVM2_member", "linux_raid_member")
"""What an appliance makes sense of, and this process does not, as blkid(8) calls it."""
ENCRYPTED: Final = "crypto_LUKS"
BY_HAND: Final = "take its files out by tar-out of guestfish(1), and make that a 'tar:' master"

_FILESYSTEMS: Final = ("ext2", "ext3", "ext4", "xfs", "btrfs")
"""Those that a root file system is put together of. An EFI system partition has boot loaders alone."""
_BTRFS: Final = "btrfsvol:"
"""What names of subvolumes begin with: see guestfs(3)."""
_DISK: Final = re.compile(rf"\b{_BTRFS}/dev/sd[a-z]+")
_MOUNTABLE: Final = re.compile(rf"({_BTRFS})?/dev/[\w./@:+=-]+", re.ASCII)
_POINT: Final = re.compile(r"/[\w./@:+=-]*", re.ASCII)
_SNAPSHOTS: Final = ".snapshots"
"""Where snapper(8) has a subvolume's snapshots, which look like root file systems, too."""
_LARGEST: Final = 4
"""How many times the size of its disk a root's files have at most: btrfs compresses them."""
_OF_THE_FILESYSTEM: Final = ("trusted.SGI_ACL_", "btrfs.")
"""Prefixes of the attributes by which XFS shows access control lists a second time, and btrfs its settings."""


def pack(disk: Path, archive: Path, limit: int | None = None) -> None:
    """Write to `archive`, an empty file, a tar file of the root on the raw `disk`, and what its fstab mounts below it.

    What is changed where journals are replayed is written beside `archive`; `disk` stays as it is. Raises MasterError,
    also when `archive` would be longer than twice `limit` bytes.
    """
    with guestfish.opened(disk, archive.parent) as appliance:
        root, points = _root(appliance)
        appliance.ask("mount-ro", root, "/")
        for point, mountable in sorted(points.items()):
            if _is_directory(appliance, point):
                _mount(appliance, mountable, point)
        if not _is_directory(appliance, "/usr/bin"):
            raise MasterError(f"the root file system on it has no /usr/bin: {root}", BY_HAND)
        appliance.ask(
            *("tar-out", "/", str(archive), "xattrs:true", "numericowner:true", f"excludes:./{_SNAPSHOTS}/*"),
            grows=archive,
            limit=min(_LARGEST * disk.stat().st_size, sys.maxsize if limit is None else 2 * limit),
        )


def entries(archive: Path) -> Layer:
    """What pack() has packed, without what only the file system that it came from makes sense of."""
    for entry in tar.entries(archive):
        yield _portable(entry)


def not_found(kinds: list[str]) -> MasterError:
    """The error for a disk on which there are these and no root."""
    if ENCRYPTED in kinds:
        return MasterError("its root file system is encrypted", BY_HAND)
    there = f", only {', '.join(map(quoted, kinds))}" if kinds else ""
    return MasterError(
        f"there is no root file system on it{there}", "those of ext2, ext3, ext4, XFS and btrfs are read"
    )


def _root(appliance: Appliance) -> tuple[str, dict[str, str]]:
    """Where the root file system is, and by mount points what else belongs to it, as far as its fstab says so."""
    roots = _distinct(_named(appliance.ask("inspect-os")))
    inspected = bool(roots)
    if not inspected:
        roots = _distinct(_looked_for(appliance))
    if len(roots) > 1:
        raise MasterError(f"there are several root file systems on it: {', '.join(roots)}", BY_HAND)
    lines = _named(appliance.ask("inspect-get-mountpoints", *roots)) if inspected else []
    pairs = (line.partition(": ")[::2] for line in lines)
    return roots[0], {
        point: mountable
        for point, mountable in pairs
        if point not in ("/", f"/{_SNAPSHOTS}") and _POINT.fullmatch(point) and _is_of_a_root(appliance, mountable)
    }


def _looked_for(appliance: Appliance) -> list[str]:
    """Roots that libguestfs makes nothing of, as those that have neither /etc/fstab nor /etc/hosts."""
    pairs = [line.rpartition(": ")[::2] for line in _named(appliance.ask("list-filesystems"))]
    roots = [mountable for mountable, kind in pairs if kind in _FILESYSTEMS and _is_root(appliance, mountable)]
    appliance.ask("umount-all")
    if not roots:
        raise not_found([kind for _, kind in pairs])
    return roots


def _is_of_a_root(appliance: Appliance, mountable: str) -> bool:
    if not _MOUNTABLE.fullmatch(mountable):
        return False
    with suppress(MasterError):  # fstab names what is not there
        return mountable.startswith(_BTRFS) or set(appliance.ask("vfs-type", mountable)) <= {*_FILESYSTEMS}
    return False


def _mount(appliance: Appliance, mountable: str, point: str) -> None:
    try:
        appliance.ask("mount-ro", mountable, point)
    except MasterError as error:
        raise MasterError(f"what its fstab mounts at {point} cannot be mounted: {error.message}", BY_HAND) from error


def _named(lines: list[str]) -> list[str]:
    """The same, with the only disk always called sda.

    In the appliance the disks have names in the order in which its kernel has found them. libguestfs (seen: 1.48.6)
    translates names to its own, and those of subvolumes only where it is given them.
    """
    return [_DISK.sub(f"{_BTRFS}/dev/sda", line) for line in lines]


def _distinct(roots: list[str]) -> list[str]:
    """The same without snapshots, and subvolumes beside the default one, which has the device's name."""
    roots = [each for each in roots if _MOUNTABLE.fullmatch(each)]
    roots = [each for each in roots if f"/{_SNAPSHOTS}/" not in each] or roots
    return [each for each in roots if not any(each.startswith(f"{_BTRFS}{other}/") for other in roots)]


def _is_root(appliance: Appliance, mountable: str) -> bool:
    appliance.ask("umount-all")
    with suppress(MasterError):  # damaged, or of a newer kind than the appliance's kernel knows
        appliance.ask("mount-ro", mountable, "/")
        return _is_directory(appliance, "/etc") and _is_directory(appliance, "/usr")
    return False


def _is_directory(appliance: Appliance, path: str) -> bool:
    return appliance.ask("is-dir", path) == ["true"]


def _portable(entry: Entry) -> Entry:
    if isinstance(entry, HardLink | Removal):
        return entry
    kept = tuple(pair for pair in entry.metadata.xattrs if not pair[0].startswith(_OF_THE_FILESYSTEM))
    return entry if kept == entry.metadata.xattrs else replace(entry, metadata=replace(entry.metadata, xattrs=kept))
