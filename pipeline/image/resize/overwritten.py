"""What resize2fs overwrites when a file system grows: saved in its undo file beforehand, all of it at once.

By itself it saves each block just before it overwrites it, by four writes. Each of them has to wait for the disk if the
undo file is to be of use after a power failure. A block that is in the file already is not saved once more: so what is
known to be overwritten is put there with a single wait for all of it, and only what nobody foresaw is left.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from pipeline.errors import ImageError
from pipeline.image.ext import libext2fs
from pipeline.image.ext.libext2fs import ExtError, check, ffi

_AT_ONCE = 512
"""Blocks that are in memory together; and the most that one record of an undo file has, see lib/ext2fs/undo_io.c."""

_SUPERBLOCK = slice(1024, 2048)

_alone = Lock()
"""What the library has of undo files is for one thread at a time: a variable for the name until one is opened, and a
list of what is still to be closed when the program ends, which loses entries otherwise, and then ends it by SIGSEGV."""


def save(image: Path, size: int, undo: Path) -> None:
    """Save in the new file `undo` what resize2fs will overwrite to make the file system in `image` fill `size` bytes.

    `image` has that size already, and is not changed. What is saved need not be all of it, nor need all of that be
    overwritten. It is not synced. Raises ImageError and OSError.
    """
    with _opened(image, libext2fs.library().unix_io_manager, libext2fs.FLAG_64BITS) as filesystem:
        ranges = list(_overwritten(filesystem, size))
        block_size = filesystem.blocksize
    source, stand_in = os.open(image, os.O_RDONLY), os.memfd_create("stand-in")
    try:
        # The library saves what a file has before it overwrites it. That is done to a file in memory, which has no
        # more in it than what is next.
        os.ftruncate(stand_in, os.fstat(source).st_size)
        os.pwrite(stand_in, os.pread(source, _SUPERBLOCK.stop, 0)[_SUPERBLOCK], _SUPERBLOCK.start)
        with _saving(Path(f"/proc/self/fd/{stand_in}"), undo) as channel:
            for first, count in ranges:
                data = os.pread(source, count * block_size, first * block_size)
                os.pwrite(stand_in, data, first * block_size)
                _overwrite(channel, first, count, data)
    except ExtError as error:
        raise ImageError(f"{undo}: {error}") from error
    finally:
        os.close(source)
        os.close(stand_in)


def _overwritten(filesystem: Any, size: int) -> Iterator[tuple[int, int]]:  # noqa: ANN401  # cffi's pointers
    """Ranges of blocks, each its first and their number, none of which is longer than _AT_ONCE, and none twice."""
    blocks = sorted({block for run in _runs(filesystem, size) for block in run if block < size // filesystem.blocksize})
    first = count = 0
    for block in blocks:
        if count and block == first + count and count < _AT_ONCE:
            count += 1
            continue
        if count:
            yield first, count
        first, count = block, 1
    if count:
        yield first, count


def _runs(filesystem: Any, size: int) -> Iterator[range]:  # noqa: ANN401  # as above
    """What resize2fs was seen to overwrite (1.47.0), as far as it is worth the while to tell in advance."""
    library, superblock = libext2fs.library(), filesystem.super
    per_group, now = superblock.s_blocks_per_group, filesystem.group_desc_count
    then = -(-(size // filesystem.blocksize) // per_group)
    # Descriptors take room in proportion to the groups.
    descriptors = -(-filesystem.desc_blocks * then // now)
    lazy = superblock.s_feature_ro_compat & (libext2fs.RO_COMPAT_GDT_CSUM | libext2fs.RO_COMPAT_METADATA_CSUM)
    flexible = 1 << superblock.s_log_groups_per_flex
    tables = 2 if lazy else 2 + filesystem.inode_blocks_per_group
    # The superblock, the descriptors, the room that these have to grow, and the inode of all that room.
    yield range(min(library.ext2fs_inode_table_loc(filesystem, 0) + 1, per_group))
    yield from _map_of_reserved_blocks(filesystem)
    for group in range(then):
        start = group * per_group
        if library.ext2fs_bg_has_super(filesystem, group):
            yield range(start, start + 1 + descriptors)
        if group < now:
            for block in (library.ext2fs_block_bitmap_loc, library.ext2fs_inode_bitmap_loc):
                yield range(block(filesystem, group), block(filesystem, group) + 1)
        elif flexible > 1 and (group == now or group % flexible == 0):
            yield range(start, start + flexible * tables)
        elif flexible == 1:
            reserved = superblock.s_reserved_gdt_blocks if library.ext2fs_bg_has_super(filesystem, group) else 0
            yield range(start, start + 1 + descriptors + reserved + tables)


def _map_of_reserved_blocks(filesystem: Any) -> Iterator[range]:  # noqa: ANN401  # as above
    inode: Any = ffi.new("struct ext2_inode_large *")
    code = libext2fs.library().ext2fs_read_inode_full(filesystem, libext2fs.RESIZE_INODE, inode, libext2fs.SMALL_INODE)
    block = inode.i_block[libext2fs.DOUBLY_INDIRECT]
    if not code and block:
        yield range(block, block + 1)


@contextmanager
def _saving(stand_in: Path, undo: Path) -> Iterator[Any]:
    """A channel that saves in `undo` what it overwrites in `stand_in`."""
    library = libext2fs.library()
    name = ffi.new("char[]", os.fsencode(undo))
    flags = libext2fs.FLAG_RW | libext2fs.FLAG_64BITS | libext2fs.FLAG_SUPER_ONLY
    with _alone:
        check(library.set_undo_io_backing_manager(library.unix_io_manager))
        check(library.set_undo_io_backup_file(name))
        with _opened(stand_in, library.undo_io_manager, flags) as filesystem:
            yield filesystem.io


def _overwrite(channel: Any, first: int, count: int, data: bytes) -> None:  # noqa: ANN401  # as above
    library = libext2fs.library()
    if first == 0:  # with the superblock, of which the undo file keeps what it looks like after the last change
        check(library.io_channel_write_blk64(channel, first, count, data))
    else:
        check(library.io_channel_discard(channel, first, count))


@contextmanager
def _opened(image: Path, manager: Any, flags: int) -> Iterator[Any]:  # noqa: ANN401  # as above
    library = libext2fs.library()
    handle = ffi.new("ext2_filsys *")
    code = library.ext2fs_open2(os.fsencode(image), ffi.NULL, flags, 0, 0, manager, handle)
    if code:
        raise ImageError(f"{image}: its file system cannot be opened: {ExtError(code)}")
    try:
        yield handle[0]
    finally:
        library.ext2fs_free(handle[0])
