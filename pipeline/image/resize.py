"""Disks of guests made larger or smaller: planned by looking, then done so that an interruption does no harm."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.errors import GuestfarmError, ImageError
from pipeline.farm.units import approximate_size, format_size
from pipeline.image import blank, e2fsprogs, ext, probe, superblock, swap, undo
from pipeline.image.clone import clone
from pipeline.image.publish import replace

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What it takes to make a disk what it shall be."""

    disk: Disk
    now: int
    """Its size as it is, in bytes; 0 where that cannot be told."""
    what: str
    """In words; nothing if it is as it shall be already."""
    refusal: str = ""
    """Why it cannot be done, or not so."""
    room: int = 0
    """The bytes that it takes of the host's disk at once."""
    later: int = 0
    """The bytes that the guest can come to take of it, with what was said before."""

    def carry_out(self) -> None:
        """Do it. Raises GuestfarmError: the disk is what it was then, or the next try goes on from there.

        Nobody may be using the disk.
        """
        if self.refusal:
            raise ImageError(f"{self.disk.image}: {self.refusal}")
        if self.what:
            with _image_errors(self.disk.image), _alone_in(self.disk.image.parent):
                _CARRY_OUT[self.disk.content](self.disk)


def plan(disk: Disk, *, shrink: bool = False) -> Change:
    """How `disk` comes to its size; `shrink` allows to make it smaller. Changes nothing, and raises nothing."""
    now = 0
    try:
        status = disk.image.lstat()
        now = status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("is no regular file")
        what = _what(disk, now)
        if what and disk.size < now and disk.content is not Content.SWAP and not shrink:
            raise ImageError("it would become smaller: that needs --shrink")
        if what and disk.size < now and disk.content is Content.FILE_SYSTEM:
            what += _least(disk)
        if what and disk.size < now and disk.content is Content.OWN:
            raise ImageError("it would become smaller, and only the guest knows what is on it")
    except OSError as error:
        return Change(disk=disk, now=now, what="", refusal=str(error.strerror))
    except GuestfarmError as error:
        return Change(disk=disk, now=now, what="", refusal=error.message.removeprefix(f"{disk.image}: "))
    growth = max(0, disk.size - blank.space(disk.image)) if what else 0
    room = growth if what and _allocates(disk) else 0
    return Change(disk=disk, now=now, what=what, room=room, later=growth)


def of_image(image: Path, size: int) -> Disk:
    """The disk in `image`, which may come from anywhere, as one of `size` bytes."""
    content = Content.SWAP if probe.kind(image) == "swap" else Content.FILE_SYSTEM
    return Disk(image=image, size=size, allocate=False, content=content)


def _what(disk: Disk, now: int) -> str:
    if disk.content is Content.FILE_SYSTEM:
        return _what_of_file_system(disk, now)
    if disk.size == now:
        return ""
    if disk.content is Content.OWN:
        return "extend the disk" if disk.size > now else "shorten the disk"
    return "make the swap disk anew"


def _what_of_file_system(disk: Disk, now: int) -> str:
    if undo.is_unfinished(disk.image):
        return "undo what was interrupted, then resize"
    found = superblock.read(disk.image)
    if found is None:
        there = probe.probe(disk.image)
        if there.partitions:
            raise ImageError(f"it is divided into partitions ({there.partitions}), not a file system as a whole")
        raise ImageError(f"it has no ext2, ext3 or ext4 file system, but {there}")
    if found.size > now:
        raise ImageError(f"it is cut off: it has {now} bytes, and its file system {found.size}")
    if found.fills(disk.size):
        return "" if now == disk.size else "extend the file" if now < disk.size else "shorten the file"
    if found.size < disk.size:
        how = "fully allocated" if _allocates(disk) else "sparse"
        if now > found.size and not found.fills(now):
            return f"go on to grow the file system from {format_size(found.size)}"
        return f"grow by {_difference(disk.size, now)}, {how}"
    return f"shrink by {_difference(now, disk.size)}"


def _least(disk: Disk) -> str:
    """What resize2fs says now of the least size, where it can tell. Raises ImageError if that is more than is wanted.

    It takes no file system that was not cleanly unmounted, or lets itself be checked first: then it is told at work.
    """
    found = superblock.read(disk.image)
    if found is None or found.needs_recovery or found.has_errors or undo.is_unfinished(disk.image):
        return ""
    try:
        smallest = e2fsprogs.smallest(disk.image) * found.block_size
    except GuestfarmError:
        return ""
    _check_least(disk.image, disk.size, smallest)
    return f", {approximate_size(smallest)} is the least"


def _difference(larger: int, smaller: int) -> str:
    return approximate_size(larger - smaller)


def _allocates(disk: Disk) -> bool:
    """Whether the disk shall have all of its space: because it is to, or because it has."""
    return disk.allocate or blank.is_allocated(disk.image)


def _resize_file_system(disk: Disk) -> None:
    image = disk.image
    undo.roll_back(image)
    e2fsprogs.repair(image)
    _mark_checked(image)
    found = superblock.read(image)
    if found is None:
        raise ImageError(f"{image}: the file system is gone")
    if disk.size < found.size:
        _check_least(image, disk.size, e2fsprogs.smallest(image) * found.block_size)
    if disk.size < found.size or found.block_size not in _UNDOABLE:
        _resize_copy(disk)
    else:
        _grow_in_place(disk)


def _grow_in_place(disk: Disk) -> None:
    image, allocate = disk.image, _allocates(disk)
    former = image.stat().st_size
    try:
        _extend(image, disk.size, allocate=allocate)
        with undo.undoable(image, disk.size) as saved:
            e2fsprogs.resize(image, disk.size, saved)
            _check_resized(image, disk.size)
    except BaseException:
        if former < disk.size and not undo.is_unfinished(image):
            os.truncate(image, former)
        raise
    if disk.size < former:
        os.truncate(image, disk.size)
        e2fsprogs.inspect(image)
    if allocate:  # e2fsprogs zero by punching holes, see publish()
        blank.allocate(image)
    undo.sync(image)


def _resize_copy(disk: Disk) -> None:
    image, allocate = disk.image, _allocates(disk)
    room = disk.size if allocate else blank.space(image)
    if allocate:
        _check_room(image, room)
    with replace(image, room=room, allocated=allocate) as draft:
        clone(image, draft)
        blank.extend(draft, disk.size)
        e2fsprogs.resize(draft, disk.size, None)
        os.truncate(draft, disk.size)
        _check_resized(draft, disk.size)


def _mark_checked(image: Path) -> None:
    """Where the guest's clock is ahead of ours, resize2fs would take the check to be older than the last mount."""
    found = superblock.read(image)
    if found is not None and found.last_checked < found.last_mounted:
        with ext.open(image) as filesystem:
            filesystem.mark_checked()


def _check_least(image: Path, size: int, smallest: int) -> None:
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
        _check_room(image, size - blank.space(image))
    blank.extend(image, size)
    if allocate:
        blank.allocate(image)
    undo.sync(image)


def _check_room(image: Path, room: int) -> None:
    free = blank.free_space(image.parent)
    if room > free:
        raise ImageError(
            f"{image}: {approximate_size(room)} more is needed, and {approximate_size(free)} is free",
            "make room on the disk, or give the guest a smaller one",
        )


def _rebuild_swap(disk: Disk) -> None:
    swap.rebuild(disk.image, disk.size, allocate=_allocates(disk))


def _extend_own(disk: Disk) -> None:
    former = disk.image.stat().st_size
    try:
        _extend(disk.image, disk.size, allocate=_allocates(disk))
    except BaseException:
        os.truncate(disk.image, former)
        raise


_CARRY_OUT: dict[Content, Callable[[Disk], None]] = {
    Content.FILE_SYSTEM: _resize_file_system,
    Content.SWAP: _rebuild_swap,
    Content.OWN: _extend_own,
}


@contextmanager
def _image_errors(image: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImageError(f"{error.filename or image}: {error.strerror}") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Have no other process of ours resize a disk in `folder` meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ImageError(f"{folder}: another process resizes a disk here", "wait until it has ended") from None
    finally:
        os.close(descriptor)
