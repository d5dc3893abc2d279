"""ext2, ext3 and ext4 file systems in image files, read and changed in this process: no root, no mount."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from pipeline.errors import ImageError
from pipeline.image import libext2fs
from pipeline.image.directory_tree import DirectoryTree
from pipeline.image.inode import EPOCH, Inode, Inodes
from pipeline.image.layer import (
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Layer,
    Metadata,
    Removal,
    Special,
    Symlink,
)
from pipeline.image.libext2fs import ExtError, check, ffi

_SPECIAL = {
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
}
_MISSING_DIRECTORY = Metadata(mode=0o755, mtime=EPOCH * 10**9)
_FULL = (libext2fs.BLOCK_ALLOC_FAIL, libext2fs.INODE_ALLOC_FAIL)


@contextmanager
def open(image: Path, *, write: bool = True) -> Iterator["FileSystem"]:
    """The file system in `image`. Changes are in the file when the block ends without an exception; fsync is not done.

    Raises ImageError if there is no ext2, ext3 or ext4 file system in it, or one that needs e2fsck first.
    """
    library = libext2fs.library()
    handle = ffi.new("ext2_filsys *")
    flags = libext2fs.FLAG_64BITS | (libext2fs.FLAG_RW if write else 0)
    code = library.ext2fs_open2(os.fsencode(image), ffi.NULL, flags, 0, 0, library.unix_io_manager, handle)
    if code:
        raise ImageError(f"{image}: no ext2, ext3 or ext4 file system can be opened: {ExtError(code)}")
    filesystem = handle[0]
    try:
        if write:
            _check_clean(image, filesystem)
            filesystem.now = EPOCH
            check(library.ext2fs_read_bitmaps(filesystem))
        yield FileSystem(filesystem)
        if write:
            check(library.ext2fs_flush2(filesystem, libext2fs.FLUSH_NO_SYNC))
    except ExtError as error:
        raise ImageError(f"{image}: {error}") from error
    finally:
        library.ext2fs_free(filesystem)


def _check_clean(image: Path, filesystem: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
    superblock = filesystem.super
    replay = superblock.s_feature_incompat & libext2fs.INCOMPAT_RECOVER
    clean = superblock.s_state & libext2fs.STATE_CLEAN and not superblock.s_state & libext2fs.STATE_ERRORS
    if replay or not clean:
        raise ImageError(
            f"{image}: the file system was not cleanly unmounted", f"look after it with: e2fsck -f {image}"
        )


class FileSystem:
    """An open file system. Paths are relative to its root, without a leading slash; symlinks in them stay inside."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
        self._fs = handle
        self._library = libext2fs.library()
        self._inodes = Inodes(handle)
        self._tree = DirectoryTree(handle, self._inodes)

    @property
    def uuid(self) -> UUID:
        """The file system's UUID, as blkid shows it."""
        return UUID(bytes=bytes(self._fs.super.s_uuid))

    @uuid.setter
    def uuid(self, uuid: UUID) -> None:
        if not self.can_change_uuid:
            raise ImageError("the checksums of all metadata depend on the UUID", "change it with tune2fs -U")
        self._fs.super.s_uuid = uuid.bytes
        if self._fs.super.s_feature_ro_compat & libext2fs.RO_COMPAT_GDT_CSUM:
            check(self._library.ext2fs_set_gdt_csum(self._fs))
        self._fs.flags |= libext2fs.FLAG_SUPER_CHANGED

    @property
    def kind(self) -> str:
        """What blkid calls it: ext2, ext3 or ext4, which are ever more features of one format."""
        superblock = self._fs.super
        if superblock.s_feature_incompat & libext2fs.INCOMPAT_EXT4 or (
            superblock.s_feature_ro_compat & libext2fs.RO_COMPAT_EXT4
        ):
            return "ext4"
        return "ext3" if superblock.s_feature_compat & libext2fs.COMPAT_HAS_JOURNAL else "ext2"

    @property
    def can_change_uuid(self) -> bool:
        """Whether the UUID is the superblock's alone: so without metadata_csum, or with metadata_csum_seed too."""
        superblock = self._fs.super
        checksums = superblock.s_feature_ro_compat & libext2fs.RO_COMPAT_METADATA_CSUM
        return not checksums or bool(superblock.s_feature_incompat & libext2fs.INCOMPAT_CSUM_SEED)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, symlinks followed."""
        return self._tree.resolve(path) is not None

    def mode(self, path: str) -> int | None:
        """Type and permissions of what is at `path` itself, as st_mode of inode(7); None if nothing is."""
        number = self._tree.resolve(path, follow_last=False)
        return None if number is None else int(self._inodes.read(number).i_mode)

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads; None if there is none."""
        number = self._tree.resolve(path, follow_last=False)
        return None if number is None or not self._inodes.is_symlink(number) else self._inodes.link_target(number)

    def names(self, path: str) -> list[str]:
        """The names in the directory at `path`, sorted; none if there is no directory."""
        number = self._tree.resolve(path)
        return [] if number is None or not self._inodes.is_directory(number) else self._tree.names(number)

    def read(self, path: str) -> bytes:
        """The contents of the file at `path`, symlinks followed. Raises ImageError if there is none."""
        number = self._tree.resolve(path)
        if number is None or self._inodes.kind(number) != stat.S_IFREG:
            raise ImageError(f"there is no file {path!r} in the file system")
        return b"".join(self._inodes.contents(number))

    def apply(self, layer: Layer) -> None:
        """Write every entry of `layer` in its order; what was there under the same name is replaced.

        Raises ImageError for an entry that does not fit, in room or in kind. The image is of no use then.
        """
        for entry in layer:
            try:
                self._write(entry)
            except ExtError as error:
                if error.code in _FULL:
                    raise ImageError(
                        f"no room for {entry.path!r}: the file system is full", "give the disk a larger size"
                    ) from error
                raise ImageError(f"cannot write {entry.path!r}: {error}") from error

    def _write(self, entry: Entry) -> None:
        if not entry.path:
            self._write_root(entry)
            return
        above, _, name = entry.path.rpartition("/")
        if isinstance(entry, Removal):
            if (directory := self._tree.directory(above)) is not None:
                self._tree.remove(directory, name)
            return
        directory = self._directory(above)
        there = self._tree.lookup(directory, name)
        if there is not None and self._inodes.is_directory(there):
            if not isinstance(entry, Directory):
                raise ImageError(f"{entry.path!r} is a directory already, and cannot become something else")
            self._inodes.set_metadata(there, entry.metadata)
            return
        if isinstance(entry, HardLink):
            self._write_hard_link(entry, directory, name)
            return
        if there is not None:
            self._tree.remove(directory, name)
        match entry:
            case File():
                number = self._write_file(entry, directory)
                self._tree.link(directory, name, number)
            case Special():
                number = self._write_special(entry, directory)
                self._tree.link(directory, name, number)
            case Directory():
                number = self._tree.make_directory(directory, name)
            case Symlink():
                number = self._tree.make_symlink(directory, name, entry.target)
        self._inodes.set_metadata(number, entry.metadata)

    def _write_root(self, entry: Entry) -> None:
        if not isinstance(entry, Directory):
            raise ImageError("the root of a file system can only be a directory")
        self._inodes.set_metadata(libext2fs.ROOT_INODE, entry.metadata)

    def _directory(self, path: str) -> int:
        """The directory at `path`; like tar, makes what is missing on the way to a file."""
        number = self._tree.directory(path)
        if number is None:
            self._write(Directory(path, _MISSING_DIRECTORY))
            number = self._tree.directory(path)
        if number is None:
            raise ImageError(f"{path!r} is not a directory")
        return number

    def _write_hard_link(self, entry: HardLink, directory: int, name: str) -> None:
        target = self._tree.resolve(entry.target, follow_last=False)
        if target is None or self._inodes.is_directory(target):
            raise ImageError(f"{entry.path!r} is a hard link to {entry.target!r}, which is no file before it")
        if target == self._tree.lookup(directory, name):
            return
        self._tree.remove(directory, name)
        inode = self._inodes.read(target)
        inode.i_links_count += 1
        self._inodes.write(target, inode)
        self._tree.link(directory, name, target)

    def _write_special(self, entry: Special, directory: int) -> int:
        inode = self._inodes.new(_SPECIAL[entry.kind])
        if entry.major < 256 and entry.minor < 256:  # the two encodings of device numbers in the kernel's kdev_t.h
            inode.i_block[0] = entry.major << 8 | entry.minor
        else:
            inode.i_block[1] = entry.minor & 0xFF | entry.major << 8 | (entry.minor & ~0xFF) << 12
        return self._inodes.allocate(directory, inode)

    def _write_file(self, entry: File, directory: int) -> int:
        inode = self._inodes.new(stat.S_IFREG)
        check(self._library.ext2fs_inode_size_set(self._fs, inode, entry.content.size))
        number = self._inodes.allocate(directory, inode)
        for start, data in _whole_blocks(entry.content, self._fs.blocksize):
            self._write_blocks(number, inode, start, data)
        self._inodes.write(number, inode)
        return number

    def _write_blocks(self, number: int, inode: Inode, start: int, data: bytes) -> None:
        count = len(data) // self._fs.blocksize
        check(
            self._library.ext2fs_fallocate(
                self._fs,
                libext2fs.FALLOCATE_INITIALISED,
                number,
                inode,
                libext2fs.GOAL_ANYWHERE,
                start,
                count,
            )
        )
        memory = ffi.from_buffer(data)
        for offset, physical, length in self._runs(number, inode, start, count):
            piece = memory + offset * self._fs.blocksize
            check(self._library.io_channel_write_blk64(self._fs.io, physical, length, piece))

    def _runs(self, number: int, inode: Inode, start: int, count: int) -> list[tuple[int, int, int]]:
        """Where `count` blocks of a file lie, as (offset from `start`, first block of the file system, length)."""
        runs: list[tuple[int, int, int]] = []
        physical = ffi.new("blk64_t *")
        for offset in range(count):
            check(self._library.ext2fs_bmap2(self._fs, number, inode, ffi.NULL, 0, start + offset, ffi.NULL, physical))
            if runs and physical[0] == sum(runs[-1][1:]):
                runs[-1] = (*runs[-1][:2], runs[-1][2] + 1)
            else:
                runs.append((offset, physical[0], 1))
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
