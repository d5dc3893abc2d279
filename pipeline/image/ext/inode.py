"""Inodes of an open file system: found, filled, written and freed."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.image.ext.libext2fs import (
    EMPTY_EXTENT_HEADER,
    INCOMPAT_EXTENTS,
    INODE_EXTENTS,
    LARGE_INODE,
    SMALL_INODE,
    check,
    ffi,
    library,
)
from pipeline.image.layer.entries import CHUNK, EPOCH, Metadata

_EARLIEST = -(2**31) * 10**9
_LATEST_SMALL = (2**31 - 1) * 10**9
_MTIME_EXTRA_END = 0x8C
"""Where i_mtime_extra ends in an inode; i_extra_isize says whether it goes that far."""
_LATEST = (2**34 - 2**31 - 1) * 10**9
"""Times that inodes can hold, in nanoseconds since 1970: from 1901 on, to 2038 in small ones and to 2446 in others."""

Inode = Any
"""cffi's pointer to a struct ext2_inode_large; such pointers have no types of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What an inode says of its file, as stat(2) shows it: `mode` with the type, `mtime` in nanoseconds since 1970."""

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int


class Inodes:
    """The inodes of the file system that libext2fs has open as `handle`. Raises libext2fs.ExtError throughout."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
        self._fs = handle
        self._library = library()
        self._size = max(handle.super.s_inode_size, SMALL_INODE)
        self._has_extents = bool(handle.super.s_feature_incompat & INCOMPAT_EXTENTS)
        self._modes: dict[int, int] = {}
        """Of the inodes in use that were asked for, since paths lead through the same ones again and again."""

    def read(self, number: int) -> Inode:
        """A copy of the inode."""
        inode = ffi.new("struct ext2_inode_large *")
        check(self._library.ext2fs_read_inode_full(self._fs, number, inode, self._size))
        return inode

    def write(self, number: int, inode: Inode) -> None:
        """Make `inode` what inode `number` is."""
        check(self._library.ext2fs_write_inode_full(self._fs, number, inode, self._size))
        self._modes.pop(number, None)

    def status(self, number: int) -> Status:
        """What there is to know of the inode besides its contents."""
        inode = self.read(number)
        large = self._size >= LARGE_INODE and inode.i_extra_isize >= _MTIME_EXTRA_END - SMALL_INODE
        return Status(
            number=number,
            mode=inode.i_mode,
            uid=inode.i_uid | inode.i_uid_high << 16,
            gid=inode.i_gid | inode.i_gid_high << 16,
            size=inode.i_size | inode.i_size_high << 32,
            mtime=_nanoseconds(inode.i_mtime, inode.i_mtime_extra if large else 0),
        )

    def mode(self, number: int) -> int:
        """Type and permissions, as st_mode of inode(7). Cheap when asked again."""
        if number not in self._modes:
            self._modes[number] = int(self.read(number).i_mode)
        return self._modes[number]

    def kind(self, number: int) -> int:
        """The file type, as S_IFMT() of inode(7)."""
        return stat.S_IFMT(self.mode(number))

    def is_directory(self, number: int) -> bool:
        """Whether it is a directory."""
        return self.kind(number) == stat.S_IFDIR

    def is_symlink(self, number: int) -> bool:
        """Whether it is a symbolic link."""
        return self.kind(number) == stat.S_IFLNK

    def find_free(self, directory: int, kind: int) -> int:
        """A free inode, near that of `directory`. It is still free."""
        number = ffi.new("ext2_ino_t *")
        check(self._library.ext2fs_new_inode(self._fs, directory, kind, ffi.NULL, number))
        return int(number[0])

    def allocate(self, directory: int, inode: Inode) -> int:
        """Take a free inode near that of `directory`, and write `inode` there."""
        number = self.find_free(directory, stat.S_IFMT(inode.i_mode))
        self._library.ext2fs_inode_alloc_stats2(self._fs, number, +1, stat.S_ISDIR(inode.i_mode))
        self.write(number, inode)
        return number

    def new(self, kind: int) -> Inode:
        """An inode for something of `kind` that has one name, nothing in it, and no metadata yet."""
        inode: Inode = ffi.new("struct ext2_inode_large *")
        inode.i_mode = kind
        inode.i_links_count = 1
        if kind == stat.S_IFREG and self._has_extents:
            inode.i_flags = INODE_EXTENTS
            inode.i_block[0:3] = EMPTY_EXTENT_HEADER
        return inode

    def set_metadata(self, number: int, metadata: Metadata) -> None:
        """Make `metadata` that of the inode; extended attributes are added or replaced."""
        inode = self.read(number)
        self._fill(inode, metadata)
        self.write(number, inode)
        if metadata.xattrs:
            self.set_xattrs(number, metadata.xattrs)

    def set_xattrs(self, number: int, xattrs: Iterable[tuple[str, bytes]]) -> None:
        """Add extended attributes, or replace those of the same name; others stay."""
        handle = ffi.new("ext2_xattr_handle **")
        check(self._library.ext2fs_xattrs_open(self._fs, number, handle))
        try:
            check(self._library.ext2fs_xattrs_read(handle[0]))
            for name, value in xattrs:
                check(self._library.ext2fs_xattr_set(handle[0], os.fsencode(name), value, len(value)))
        finally:
            self._library.ext2fs_xattrs_close(handle)

    def xattrs(self, number: int) -> dict[str, bytes]:
        """Extended attributes, as the kernel's getxattr(2) shows them, by their full names."""
        names: list[bytes] = []

        def collect(name: Any, *_: object) -> int:  # noqa: ANN401  # a cffi pointer
            names.append(bytes(ffi.buffer(name, len(ffi.string(name)))))
            return 0

        function = ffi.callback("int(char *, char *, size_t, void *)", collect)
        handle, value, length = ffi.new("ext2_xattr_handle **"), ffi.new("void **"), ffi.new("size_t *")
        check(self._library.ext2fs_xattrs_open(self._fs, number, handle))
        found: dict[str, bytes] = {}
        try:
            check(self._library.ext2fs_xattrs_read(handle[0]))
            check(self._library.ext2fs_xattrs_iterate(handle[0], function, ffi.NULL))
            for name in names:
                check(self._library.ext2fs_xattr_get(handle[0], name, value, length))
                found[os.fsdecode(name)] = ffi.buffer(value[0], length[0])[:]
                check(self._library.ext2fs_free_mem(value))
        finally:
            self._library.ext2fs_xattrs_close(handle)
        found.pop("system.data", None)  # a small file's contents, with the feature inline_data
        return found

    def device(self, number: int) -> tuple[int, int]:
        """Major and minor number of a device, in one of the two encodings of the kernel's kdev_t.h; 0, 0 for others."""
        old, new = self.read(number).i_block[0:2]
        return (old >> 8 & 0xFF, old & 0xFF) if old else (new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00)

    def drop_name(self, number: int) -> None:
        """Count one name less; with the last one (a directory's "." aside) the inode and its blocks become free."""
        inode = self.read(number)
        directory = stat.S_ISDIR(inode.i_mode)
        inode.i_links_count = 0 if directory else inode.i_links_count - 1
        if inode.i_links_count:
            self.write(number, inode)
            return
        inode.i_dtime = EPOCH
        self.write(number, inode)
        check(self._library.ext2fs_free_ext_attr(self._fs, number, inode))
        if self._library.ext2fs_inode_has_valid_blocks2(self._fs, inode):
            check(self._library.ext2fs_punch(self._fs, number, ffi.NULL, ffi.NULL, 0, 2**64 - 1))
        self._library.ext2fs_inode_alloc_stats2(self._fs, number, -1, directory)

    def link_target(self, number: int) -> str:
        """Where a symbolic link leads."""
        inode = self.read(number)
        if self._library.ext2fs_is_fast_symlink(inode):
            return os.fsdecode(ffi.buffer(inode.i_block, inode.i_size)[:])
        return os.fsdecode(b"".join(self.contents(number)))

    def contents(self, number: int) -> Iterator[bytes]:
        """What is in a file, holes as zeros, piece by piece."""
        file = ffi.new("ext2_file_t *")
        size = min(self.status(number).size, CHUNK)  # most files are small, and a buffer is zeroed before it is used
        if not size:
            return
        check(self._library.ext2fs_file_open(self._fs, number, 0, file))
        try:
            buffer, got = ffi.new("char[]", size), ffi.new("unsigned int *")
            while True:
                check(self._library.ext2fs_file_read(file[0], buffer, size, got))
                if not got[0]:
                    return
                yield ffi.buffer(buffer, got[0])[:]
        finally:
            self._library.ext2fs_file_close(file[0])

    def _fill(self, inode: Inode, metadata: Metadata) -> None:
        inode.i_mode = stat.S_IFMT(inode.i_mode) | metadata.mode
        inode.i_uid, inode.i_uid_high = metadata.uid & 0xFFFF, metadata.uid >> 16
        inode.i_gid, inode.i_gid_high = metadata.gid & 0xFFFF, metadata.gid >> 16
        # The kernel, too, makes times that an inode cannot hold the earliest or the latest that it can.
        latest = _LATEST if self._size >= LARGE_INODE else _LATEST_SMALL
        seconds, nanoseconds = divmod(min(max(metadata.mtime, _EARLIEST), latest), 10**9)
        inode.i_atime = inode.i_ctime = inode.i_mtime = seconds & 0xFFFFFFFF
        if self._size >= LARGE_INODE:
            inode.i_extra_isize = LARGE_INODE - SMALL_INODE
            # Two more bits of the seconds, on top of the signed 32 that small inodes have; see the kernel's ext4.h.
            signed = (seconds & 0xFFFFFFFF) - ((seconds & 0x80000000) << 1)
            extra = (seconds - signed) >> 32 & 3 | nanoseconds << 2
            inode.i_atime_extra = inode.i_ctime_extra = inode.i_mtime_extra = inode.i_crtime_extra = extra
            inode.i_crtime = inode.i_mtime


def _nanoseconds(seconds: int, extra: int) -> int:
    """A time as inodes have it, see _fill, in nanoseconds since 1970."""
    signed = seconds - ((seconds & 0x80000000) << 1)
    return (signed + ((extra & 3) << 32)) * 10**9 + (extra >> 2)
