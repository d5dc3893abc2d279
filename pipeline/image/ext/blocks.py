"""The contents of files in an open file system: where they lie, and how they get there."""

from collections.abc import Iterator
from typing import Any

from pipeline.image.ext.inode import Inode
from pipeline.image.ext.libext2fs import (
    EXTENT_CURRENT,
    FALLOCATE_INITIALISED,
    GOAL_ANYWHERE,
    INCOMPAT_EXTENTS,
    INODE_EXTENTS,
    check,
    ffi,
    library,
)
from pipeline.image.layer.entries import Content


class Blocks:
    """The blocks of the file system that libext2fs has open as `handle`. Raises libext2fs.ExtError throughout."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
        self._fs = handle
        self._library = library()
        self._size = handle.blocksize

    @property
    def largest_file(self) -> int:
        """How many bytes a file can have, holes included, before the kernel says EFBIG; e2fsck(8) cuts larger ones."""
        if self._fs.super.s_feature_incompat & INCOMPAT_EXTENTS:
            return int((2**32 - 1) * self._size)
        pointers = self._size // 4
        # The count of a file's blocks is in units of 512 bytes, with 32 bits.
        return int(min((12 + pointers + pointers**2 + pointers**3) * self._size, 2**32 * 512))

    def write(self, number: int, inode: Inode, content: Content) -> None:
        """Make `content` that of the new file `inode`, which becomes inode `number`; holes stay holes."""
        check(self._library.ext2fs_inode_size_set(self._fs, inode, content.size))
        for start, data in _whole_blocks(content, self._size):
            self._write(number, inode, start, data)

    def _write(self, number: int, inode: Inode, start: int, data: bytes) -> None:
        count = len(data) // self._size
        check(
            self._library.ext2fs_fallocate(self._fs, FALLOCATE_INITIALISED, number, inode, GOAL_ANYWHERE, start, count)
        )
        memory = ffi.from_buffer(data)
        for offset, physical, length in self._runs(number, inode, start, count):
            piece = memory + offset * self._size
            check(self._library.io_channel_write_blk64(self._fs.io, physical, length, piece))

    def _runs(self, number: int, inode: Inode, start: int, count: int) -> list[tuple[int, int, int]]:
        """Where `count` blocks of a file lie, as (offset from `start`, first block of the file system, length)."""
        if inode.i_flags & INODE_EXTENTS:
            return self._extents(number, inode, start, count)
        runs: list[tuple[int, int, int]] = []
        physical = ffi.new("blk64_t *")
        for offset in range(count):
            check(self._library.ext2fs_bmap2(self._fs, number, inode, ffi.NULL, 0, start + offset, ffi.NULL, physical))
            if runs and physical[0] == sum(runs[-1][1:]):
                runs[-1] = (*runs[-1][:2], runs[-1][2] + 1)
            else:
                runs.append((offset, physical[0], 1))
        return runs

    def _extents(self, number: int, inode: Inode, start: int, count: int) -> list[tuple[int, int, int]]:
        """The same by extents, of which there are far fewer than blocks."""
        runs: list[tuple[int, int, int]] = []
        handle = ffi.new("ext2_extent_handle_t *")
        extent: Any = ffi.new("struct ext2fs_extent *")
        check(self._library.ext2fs_extent_open2(self._fs, number, inode, handle))
        try:
            offset = 0
            while offset < count:
                check(self._library.ext2fs_extent_goto(handle[0], start + offset))
                check(self._library.ext2fs_extent_get(handle[0], EXTENT_CURRENT, extent))
                into = start + offset - extent.e_lblk
                length = min(extent.e_len - into, count - offset)
                runs.append((offset, extent.e_pblk + into, length))
                offset += length
        finally:
            self._library.ext2fs_extent_free(handle[0])
        return runs


def _whole_blocks(content: Content, size: int) -> Iterator[tuple[int, bytes]]:
    """The data of `content` as (number of the first block, whole blocks of `size` bytes), padded with zeros."""
    begin, pending = 0, b""  # the one block that is not full yet
    for offset, data in content.chunks():
        if pending and offset >= begin + size:
            yield begin // size, pending.ljust(size, b"\0")
            pending = b""
        if not pending:
            begin = offset - offset % size
        pending = pending.ljust(offset - begin, b"\0") + data
        whole = len(pending) - len(pending) % size
        if whole:
            yield begin // size, pending[:whole]
            begin, pending = begin + whole, pending[whole:]
    if pending:
        yield begin // size, pending.ljust(size, b"\0")
