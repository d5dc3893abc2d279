"""Undoing: a file system that is resized in its place can be made what it was, however the work on it ends.

resize2fs leaves a file system that e2fsck does not mend by itself if it is killed, and also where it only then finds
that it cannot go on (seen: 1.47.0, growing beyond the reserved descriptors). So it saves what it overwrites.

That holds after a power failure, too, as long as no block of the image gets to the disk before what it had is there.
So nearly all that will be overwritten is saved and synced before resize2fs starts, and what it still adds to the undo
file is written synchronously. The folder of the undo file is removed only when all of the image is on the disk. Until
then the next run finds it, and puts back what is in it: whether all, some or none of it was overwritten by then makes
no difference, since the file has its former content for each block, once. A power failure while it is put back is
answered in the same way by the run after that. It takes a file system and a disk that keep what fsync promises, and a
file system with FS_SYNC_FL for the little that resize2fs adds: ext4, XFS and btrfs have it.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.image.ext import e2fsprogs, superblock
from pipeline.image.ext.superblock import Superblock
from pipeline.image.files.publish import sync_directory
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


@contextmanager
def undoable(image: Path, size: int) -> Iterator[Path]:
    """The undo file for a block that has resize2fs make the file system in `image`, which has `size` bytes, fill it.

    When the block ends, what it did stays; when it fails, it is undone; when all of this is killed, or the host's power
    fails, roll_back() undoes it, at any later time. Raises GuestfarmError and OSError.
    """
    place = folder(image)
    place.mkdir(mode=0o700)
    try:
        undo = place / _UNDO
        overwritten.save(image, size, undo)
        _write_synchronously(undo)
        sync(undo)
        _write_json(place / _BEFORE, _facts(image))
        sync_directory(place)
        sync_directory(place.parent)
        yield undo
        sync(image)
    except BaseException:
        roll_back(image)
        raise
    _forget(place)


def roll_back(image: Path) -> bool:
    """Undo what an interrupted resize of `image` has left, if anything. Whether there was something to undo.

    Nothing is undone if the file system was mounted or checked since: others have made something of it, and what was
    saved would spoil that. Raises GuestfarmError and OSError; it can be tried again then.
    """
    place = folder(image)
    if not place.exists():
        return False
    saved = place / _UNDO
    undone = _has_saved(saved) and _read(place / _BEFORE) == _facts(image)
    if undone:
        e2fsprogs.roll_back(image, saved)
        e2fsprogs.repair(image)  # e2undo says that it is not in order, in case that what was saved is not all
        sync(image)
    _forget(place)
    return undone


def sync(image: Path) -> None:
    """Wait until all of `image` is on the disk. Raises OSError."""
    descriptor = os.open(image, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _facts(image: Path) -> dict[str, Any]:
    """What a resize does not change of a superblock, and a mount or a check does."""
    found: Superblock | None = superblock.read(image)
    if found is None:
        return {}
    return {
        "uuid": str(found.uuid),
        "mounted": found.last_mounted,
        "mounts": found.mounts,
        "checked": found.last_checked,
    }


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


def _read(path: Path) -> Any:  # noqa: ANN401  # json's
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # killed before it was whole, so before the image changed
        return None


def _forget(place: Path) -> None:
    (place / _UNDO).unlink(missing_ok=True)
    shutil.rmtree(place)
    sync_directory(place.parent)
