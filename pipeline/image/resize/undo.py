"""Undoing: a file system that is resized in its place can be made what it was, however the work on it ends.

resize2fs leaves a file system that e2fsck does not mend by itself if it is killed, and also where it only then finds
that it cannot go on (seen: 1.47.0, growing beyond the reserved descriptors). e2fsck leaves a directory that has lost
names if it is killed while it indexes that, which it does to each linear directory of some blocks (seen: 1.47.0). So
both save what they overwrite, in one undo file. Before the first of them starts, there is a folder beside the image
with that file and with what the image was.

That holds after a power failure, too, as long as no block of the image gets to the disk before what it had is there.
So nearly all that will be overwritten is saved and synced before resize2fs starts, and what the programs add to the
undo file by themselves is written synchronously. The folder of the undo file is removed only when all of the image is
on the disk. Until then the next run finds it, and puts back what is in it: whether all, some or none of it was
overwritten by then makes no difference, since the file has its former content for each block, once. A power failure
while it is put back is answered in the same way by the run after that. It takes a file system and a disk that keep what
fsync promises, and a file system with FS_SYNC_FL for the little that the programs add: ext4, XFS and btrfs have it.
"""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ImageError
from pipeline.image.ext import e2fsprogs, superblock
from pipeline.image.files import blkid, sparse
from pipeline.image.files.private import sync_directory
from pipeline.image.resize import overwritten

_UNDO, _BEFORE = "undo", "before.json"

_SETFLAGS = 0x40086602
_GETFLAGS = 0x80086601
_SYNC = 0x00000008
"""FS_IOC_SETFLAGS, FS_IOC_GETFLAGS and FS_SYNC_FL of linux/fs.h; see ioctl_iflags(2)."""

_MAGIC = b"E2UNDO02"
"""What an undo file starts with as soon as something is saved in it; see lib/ext2fs/undo_io.c of e2fsprogs."""


def folder(image: Path) -> Path:
    """Where all is kept that is needed to undo a resize of `image`; it is there as long as one is not finished."""
    return image.with_name(f".{image.name}.resize")


def is_unfinished(image: Path) -> bool:
    """Whether a resize of `image` was interrupted: its file system may be of no use until it is taken up again."""
    return folder(image).exists()


@dataclass(frozen=True, slots=True)
class Saved:
    """Where a block that undoable() guards has to save what it overwrites."""

    file: Path
    """The undo file, for the programs' option -z."""
    time: int
    """The time that e2fsck has to write into the superblock, in seconds since 1970."""

    def save(self, image: Path, size: int) -> None:
        """Save at once what resize2fs will overwrite to make the file system in `image` fill `size` bytes.

        `image` has that size already. Raises ImageError and OSError.
        """
        overwritten.save(image, size, self.file)
        sync(self.file)


@contextmanager
def undoable(image: Path, *, allocated: bool) -> Iterator[Saved]:
    """Have all be undone that a block does to `image` by the e2fsprogs and by changing its size, unless the block ends.

    When the block ends, what it did stays; when it fails, it is undone; when all of this is killed, or the host's power
    fails, roll_back() undoes it, at any later time. With `allocated`, the image has all of its space on the disk in any
    case. Raises GuestfarmError and OSError.
    """
    place = folder(image)
    place.mkdir(mode=0o700)
    try:
        saved = Saved(place / _UNDO, int(time.time()))
        size = image.stat().st_size
        overwritten.save(image, size, saved.file)
        _write_synchronously(saved.file)
        sync(saved.file)
        _write_json(place / _BEFORE, _facts(image) | {"time": saved.time, "size": size, "allocated": allocated})
        sync_directory(place)
        sync_directory(place.parent)
        yield saved
        sync(image)
    except BaseException:
        roll_back(image)
        raise
    _forget(place)


def roll_back(image: Path) -> bool:
    """Undo what an interrupted resize of `image` has left, if anything. Whether there was something to undo.

    The image is what it was, byte for byte. Nothing is undone if the file system was mounted or checked since: others
    have made something of it, and what was saved would spoil that. A superblock that cannot be read is one that was
    being written when all ended: nothing can have been made of it. Raises GuestfarmError and OSError; it can be tried
    again then.
    """
    place = folder(image)
    if not place.exists():
        return False
    saved, before = place / _UNDO, _read(place / _BEFORE)
    if before is None or not _has_saved(saved) or not _is_untouched(image, before):
        _forget(place)
        return False
    e2fsprogs.roll_back(image, saved)
    _restore(image, before)
    sync(image)
    _forget(place)
    return True


def former_size(image: Path) -> int | None:
    """The bytes that `image` had before a resize that was interrupted; None if there is none, or it changed nothing."""
    before = _read(folder(image) / _BEFORE)
    return None if before is None else before.get("size")


def is_allocated(image: Path) -> bool:
    """Whether an interrupted resize of `image` has to leave it with all of its space on the disk."""
    before = _read(folder(image) / _BEFORE)
    return before is not None and bool(before.get("allocated"))


def sync(image: Path) -> None:
    """Wait until all of `image` is on the disk. Raises OSError."""
    descriptor = os.open(image, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _facts(image: Path) -> dict[str, Any]:
    """What only a mount, a check or another file system changes of a superblock, and the superblock itself."""
    found = superblock.read(image)
    if found is None:
        raise ImageError(f"{image}: it has no ext2, ext3 or ext4 file system")
    return {
        "uuid": str(found.uuid),
        "mounted": found.last_mounted,
        "mounts": found.mounts,
        "checked": found.last_checked,
        "superblock": superblock.read_bytes(image).hex(),
    }


def _is_untouched(image: Path, before: dict[str, Any]) -> bool:
    """Whether nobody but the resize that found the facts `before` has changed the file system in `image` since."""
    try:
        found = superblock.read(image)
    except ImageError:  # of which a part alone is new
        return True
    if found is None:
        other = blkid.kind(image)
        if other:
            raise ImageError(
                f"{image}: a resize of it was interrupted, and since then it was replaced by {other}",
                f"to keep that, remove the folder {folder(image)}",
            )
        return True
    # e2fsck counts mounts from 0 again, has the time that it was given as that of the check, and as that of a mount
    # which seems to have been later.
    now = before.get("time")
    return (
        str(found.uuid) == before["uuid"]
        and found.last_mounted in (before["mounted"], now)
        and found.mounts in (before["mounts"], 0)
        and found.last_checked in (before["checked"], now)
    )


def _restore(image: Path, before: dict[str, Any]) -> None:
    """Put back what e2undo does not: the superblock, which it marks as not in order, the size, and the space."""
    if "superblock" in before:
        superblock.write_bytes(image, bytes.fromhex(before["superblock"]))
    if "size" in before:
        os.truncate(image, before["size"])
    if before.get("allocated"):
        sparse.allocate(image)


def _write_synchronously(file: Path) -> None:
    """Have every write to `file` wait for the disk from now on, where its file system knows how to."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        flags = bytearray(8)
        fcntl.ioctl(descriptor, _GETFLAGS, flags)
        number = int.from_bytes(flags[:4], "little") | _SYNC
        fcntl.ioctl(descriptor, _SETFLAGS, number.to_bytes(8, "little"))
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def _has_saved(undo: Path) -> bool:
    """Whether something was saved: if not, the image was not changed, since that comes after."""
    if not undo.exists():
        return False
    with undo.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    with path.open("x", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # killed before it was whole, so before the image changed
        return None
    return facts if isinstance(facts, dict) else None


def _forget(place: Path) -> None:
    (place / _UNDO).unlink(missing_ok=True)
    shutil.rmtree(place)
    sync_directory(place.parent)
