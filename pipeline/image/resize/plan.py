"""What it takes to make disks of guests larger or smaller, found out by looking alone."""

import stat
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import GuestfarmError, ImageError
from pipeline.image.disk import swap
from pipeline.image.ext import e2fsprogs, superblock
from pipeline.image.files import blkid, sparse
from pipeline.image.resize import undo
from pipeline.image.resize.apply import Content, Disk, allocates, check_least, resize
from pipeline.model.sizes import approximate_size, format_size


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
            resize(self.disk)


def plan(disk: Disk, *, shrink: bool = False) -> Change:
    """How `disk` comes to its size; `shrink` allows to make it smaller. Changes nothing, and raises nothing."""
    now = 0
    try:
        status = disk.image.lstat()
        now = undo.former_size(disk.image) or status.st_size
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
    growth = max(0, disk.size - sparse.space(disk.image)) if what else 0
    room = growth if what and allocates(disk) else 0
    return Change(disk=disk, now=now, what=what, room=room, later=growth)


def of_image(image: Path, size: int) -> Disk:
    """The disk in `image`, which may come from anywhere, as one of `size` bytes."""
    content = Content.SWAP if blkid.kind(image) == "swap" else Content.FILE_SYSTEM
    return Disk(image=image, size=size, allocate=False, content=content)


def _what(disk: Disk, now: int) -> str:
    if disk.content is Content.FILE_SYSTEM:
        return _what_of_file_system(disk, now)
    if disk.size == now:
        return ""
    if disk.content is Content.OWN:
        return "extend the disk" if disk.size > now else "shorten the disk"
    swap.check(disk.image)
    return "make the swap disk anew"


def _what_of_file_system(disk: Disk, now: int) -> str:
    if undo.is_unfinished(disk.image):
        return "undo what was interrupted, then resize"
    found = superblock.read(disk.image)
    if found is None:
        there = blkid.probe(disk.image)
        if there.partitions:
            raise ImageError(f"it is divided into partitions ({there.partitions}), not a file system as a whole")
        raise ImageError(f"it has no ext2, ext3 or ext4 file system, but {there}")
    if found.size > now:
        raise ImageError(f"it is cut off: it has {now} bytes, and its file system {found.size}")
    if found.fills(disk.size):
        return "" if now == disk.size else "extend the file" if now < disk.size else "shorten the file"
    if found.size < disk.size:
        how = "fully allocated" if allocates(disk) else "sparse"
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
    check_least(disk.image, disk.size, smallest)
    return f", {approximate_size(smallest)} is the least"


def _difference(larger: int, smaller: int) -> str:
    return approximate_size(larger - smaller)
