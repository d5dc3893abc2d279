"""The superblock of an ext2, ext3 or ext4 file system: what a glance at an image tells, whatever state it is in."""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pipeline import input_file
from pipeline.errors import ImageError
from pipeline.image.ext import libext2fs
from pipeline.image.ext.libext2fs import ExtError, ffi

_PLACE, _LENGTH = 1024, 1024
"""Where the primary superblock is, and how long it is, in bytes: whatever the size of blocks."""

_FEWEST_IN_GROUP = 50
"""Blocks that resize2fs (resize/resize2fs.c, adjust_fs_info) wants free in the last group, else there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Superblock:
    """What the superblock says of its file system."""

    uuid: UUID
    block_size: int
    blocks: int
    blocks_per_group: int
    group_overhead: int
    """About the blocks of a group that its own tables take, at most."""
    needs_recovery: bool
    """Whether there is a journal that has not been replayed: it was not cleanly unmounted, or is mounted now."""
    has_errors: bool
    """Whether it is marked as not in order."""
    last_mounted: int
    """In seconds since 1970."""
    mounts: int
    """Since it was last checked."""
    last_checked: int
    """In seconds since 1970."""

    @property
    def size(self) -> int:
        """The bytes of the file system."""
        return self.blocks * self.block_size

    def fills(self, size: int) -> bool:
        """Whether it is as large as it can be in `size` bytes: but for less than a block, or less than a group."""
        blocks = size // self.block_size
        rest = blocks % self.blocks_per_group
        useless = rest if rest < self.group_overhead + _FEWEST_IN_GROUP else 0
        return blocks - useless <= self.blocks <= blocks


def read(image: Path) -> Superblock | None:
    """The superblock in `image`; None if it has none. Raises ImageError if it is there, and cannot be right."""
    library = libext2fs.library()
    handle = ffi.new("ext2_filsys *")
    flags = libext2fs.FLAG_64BITS | libext2fs.FLAG_SUPER_ONLY
    code = library.ext2fs_open2(os.fsencode(image), ffi.NULL, flags, 0, 0, library.unix_io_manager, handle)
    if code in (libext2fs.BAD_MAGIC, libext2fs.SHORT_READ):
        return None
    if code:
        raise ImageError(f"{image}: its file system cannot be read: {ExtError(code)}")
    try:
        found, size = handle[0].super, handle[0].blocksize
        return Superblock(
            uuid=UUID(bytes=bytes(found.s_uuid)),
            block_size=size,
            blocks=library.ext2fs_blocks_count(found),
            blocks_per_group=found.s_blocks_per_group,
            # The inode table, two bitmaps, a superblock with all descriptors and the room that these have to grow.
            group_overhead=handle[0].inode_blocks_per_group + 3 + handle[0].desc_blocks + size // 4,
            needs_recovery=bool(found.s_feature_incompat & libext2fs.INCOMPAT_RECOVER),
            has_errors=bool(found.s_state & libext2fs.STATE_ERRORS or not found.s_state & libext2fs.STATE_CLEAN),
            last_mounted=found.s_mtime,
            mounts=found.s_mnt_count,
            last_checked=found.s_lastcheck,
        )
    finally:
        library.ext2fs_free(handle[0])


def read_bytes(image: Path) -> bytes:
    """The primary superblock in `image` as it is. Raises OSError."""
    with input_file.open_regular(image) as file:
        return os.pread(file.fileno(), _LENGTH, _PLACE)


def write_bytes(image: Path, data: bytes) -> None:
    """Make `data`, which read_bytes() gave, the primary superblock in `image`. It is not synced. Raises OSError."""
    with image.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), data, _PLACE)
