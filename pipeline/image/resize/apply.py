"""Disks of guests as they shall be, and made so, in a way that an interruption does no harm."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.errors import GuestfarmError, ImageError
from pipeline.image.disk import swap
from pipeline.image.ext import e2fsprogs, superblock
from pipeline.image.files import sparse
from pipeline.image.files.clone import clone
from pipeline.image.files.publish import replace, sweep_for
from pipeline.image.resize import undo
from pipeline.model.sizes import approximate_size, format_size

_UNDOABLE = (2048, 4096, 8192, 16384, 32768, 65536)
"""The sizes of blocks in bytes with which resize2fs -z does what it does without. With 1024, it was seen to leave the
resize inode damaged (1.47.0). Such file systems, which are small, are resized in a copy that takes their place; and so
are those that become smaller, since resize2fs cuts off the file at its end, where no undo file brings back anything."""


class Content(StrEnum):
    """What is on a disk, as far as its size matters."""

    FILE_SYSTEM = "file system"
    SWAP = "swap"
    OWN = "the guest's own"
    """Whatever the guest has made of it: only the disk's end is ours to move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk as it shall be: `size` in bytes, with all of its space on the host's disk if `allocate`."""

    image: Path
    size: int
    allocate: bool
    content: Content


def allocates(disk: Disk) -> bool:
    """Whether the disk shall have all of its space: because it is to, or because it has, or had before a resize."""
    return disk.allocate or sparse.is_allocated(disk.image) or undo.is_allocated(disk.image)


def _resize_file_system(disk: Disk) -> None:
    undo.roll_back(disk.image)
    if _takes_copy(disk):
        _resize_copy(disk)
    else:
        _grow_in_place(disk)


def _takes_copy(disk: Disk) -> bool:
    found = superblock.read(disk.image)
    return found is not None and (disk.size < found.size or found.block_size not in _UNDOABLE)


def _grow_in_place(disk: Disk) -> None:
    image, allocate = disk.image, allocates(disk)
    former = image.stat().st_size
    if allocate:
        _check_room(image, disk.size - sparse.space(image))
    with undo.undoable(image, allocated=allocate) as saved:
        e2fsprogs.repair(image, saved.file, saved.time)
        _check_not_larger(image, disk.size)
        _extend(image, disk.size, allocate=allocate)
        saved.save(image, disk.size)
        e2fsprogs.resize(image, disk.size, saved.file)
        _check_resized(image, disk.size)
        if allocate:  # e2fsprogs zero by punching holes, see publish()
            sparse.allocate(image)
    if disk.size < former:
        os.truncate(image, disk.size)
        e2fsprogs.inspect(image)
        undo.sync(image)


def _check_not_larger(image: Path, size: int) -> None:
    found = superblock.read(image)
    if found is None or size < found.size:
        raise ImageError(
            f"{image}: the file system became larger while it was mounted: its journal has one of "
            f"{found and found.size} bytes",
            "start the guest once, and stop it",
        )


def _resize_copy(disk: Disk) -> None:
    image, allocate = disk.image, allocates(disk)
    room = disk.size if allocate else sparse.space(image)
    if allocate:
        _check_room(image, room)
    with replace(image, room=room, allocated=allocate) as draft, _said_of(image, draft):
        clone(image, draft)
        e2fsprogs.repair(draft)
        found = superblock.read(draft)
        if found is not None and disk.size < found.size:
            check_least(draft, disk.size, e2fsprogs.smallest(draft) * found.block_size)
        sparse.extend(draft, disk.size)
        e2fsprogs.resize(draft, disk.size, None)
        os.truncate(draft, disk.size)
        _check_resized(draft, disk.size)


@contextmanager
def _said_of(image: Path, draft: Path) -> Iterator[None]:
    """What errors say of a draft, which is gone by then, is true of the image that it is a copy of."""
    try:
        yield
    except GuestfarmError as error:
        message, hint = (text.replace(str(draft), str(image)) for text in (error.message, error.hint))
        raise ImageError(message, hint) from error


def check_least(image: Path, size: int, smallest: int) -> None:
    """Raise ImageError if a file system that needs `smallest` bytes is to have fewer."""
    if size < smallest:
        raise ImageError(
            f"{image}: the file system needs {approximate_size(smallest)} at least, and {format_size(size)} is wanted",
            "remove files in the guest, or give it a larger size",
        )


def _check_resized(image: Path, size: int) -> None:
    e2fsprogs.inspect(image)
    found = superblock.read(image)
    if found is None or not found.fills(size):
        raise ImageError(f"{image}: resize2fs left a file system of {found and found.size} bytes, not {size}")


def _extend(image: Path, size: int, *, allocate: bool) -> None:
    if allocate:
        _check_room(image, size - sparse.space(image))
        sparse.allocate(image, size)
    else:
        sparse.extend(image, size)
    undo.sync(image)


def _check_room(image: Path, room: int) -> None:
    free = sparse.free_space(image.parent)
    if room > free:
        raise ImageError(
            f"{image}: {approximate_size(room)} more is needed, and {approximate_size(free)} is free",
            "make room on the disk, or give the guest a smaller one",
        )


def _rebuild_swap(disk: Disk) -> None:
    swap.rebuild(disk.image, disk.size, allocate=allocates(disk))


def _extend_own(disk: Disk) -> None:
    former = disk.image.stat().st_size
    try:
        _extend(disk.image, disk.size, allocate=allocates(disk))
    except BaseException:
        os.truncate(disk.image, former)
        raise


_RESIZE: dict[Content, Callable[[Disk], None]] = {
    Content.FILE_SYSTEM: _resize_file_system,
    Content.SWAP: _rebuild_swap,
    Content.OWN: _extend_own,
}


def resize(disk: Disk) -> None:
    """Make `disk` as large as it shall be. Raises ImageError, and ProcessError.

    Nobody may be using it. After an error it is what it was, or the next try goes on from there.
    """
    with _image_errors(disk.image), _alone_in(disk.image.parent):
        sweep_for(disk.image)
        _RESIZE[disk.content](disk)


@contextmanager
def _image_errors(image: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImageError(f"{error.filename or image}: {error.strerror}") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Have no other process of ours resize a disk in `folder` meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, folder)
        try:
            yield
        finally:
            # To close it is not enough: a program that another thread starts has a copy of it for some moments.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ImageError(f"{folder}: another process resizes a disk here", "wait until it has ended") from None
