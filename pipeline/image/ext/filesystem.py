"""ext2, ext3 and ext4 file systems in image files, read and changed in this process: no root, no mount."""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from pipeline import input_file
from pipeline.errors import ImageError
from pipeline.image.ext import libext2fs, reader
from pipeline.image.ext.directory import DirectoryTree
from pipeline.image.ext.inode import Inodes, Status
from pipeline.image.ext.libext2fs import ExtError, check, ffi
from pipeline.image.ext.writer import Writer
from pipeline.image.ext.written import Written
from pipeline.image.files.publish import date
from pipeline.image.layer.entries import CHUNK, EPOCH, Entry, Layer

_LONGEST = 1 << 26
"""Bytes of a file that is read at once: nothing in /etc is near that."""

_FULL = (libext2fs.BLOCK_ALLOC_FAIL, libext2fs.INODE_ALLOC_FAIL)


@contextmanager
def open(image: Path, *, write: bool = True, offset: int = 0, written: Written | None = None) -> Iterator["FileSystem"]:
    """The file system in `image`, `offset` bytes behind its start; where it is written to is noted in `written`.

    Changes are on the disk when the block ends without an exception: libext2fs (seen: 1.47.0) syncs what it closes, and
    keeps to itself whether that failed, after which nobody would be told; so it is done, and looked at, just before.

    Raises ImageError if there is no ext2, ext3 or ext4 file system in it, or one that needs e2fsck first; OSError when
    the disk that the image is on is full.
    """
    with _opened(image, write=write, unclean=False, offset=offset, written=written) as filesystem:
        yield filesystem


@contextmanager
def glance(image: Path) -> Iterator["FileSystem"]:
    """The file system in `image` as it is on the disk, to read, in whatever state it is: perhaps a guest writes to it.

    What is in its journal alone is not seen. Raises ImageError if there is no ext2, ext3 or ext4 file system in it, or
    what is read makes no sense, as where somebody is writing it.
    """
    with _opened(image, write=False, unclean=True) as filesystem:
        yield filesystem


@contextmanager
def _opened(
    image: Path, *, write: bool, unclean: bool, offset: int = 0, written: Written | None = None
) -> Iterator["FileSystem"]:
    try:
        input_file.check(image)  # libext2fs would wait for the other end of a FIFO
    except OSError as error:
        raise ImageError(f"{image}: no ext2, ext3 or ext4 file system can be opened: {error.strerror}") from error
    library = libext2fs.library()
    handle = ffi.new("ext2_filsys *")
    flags = libext2fs.FLAG_64BITS | (libext2fs.FLAG_RW if write else 0)
    options = b"offset=%d" % offset if offset else ffi.NULL  # as the library's unix_io.c reads it
    code = library.ext2fs_open2(os.fsencode(image), options, flags, 0, 0, library.unix_io_manager, handle)
    if code:
        raise ImageError(f"{image}: no ext2, ext3 or ext4 file system can be opened: {ExtError(code)}")
    filesystem = handle[0]
    if written is not None:
        written.watch(filesystem)
    synced = os.open(image, os.O_RDONLY | os.O_CLOEXEC)  # told of all failures from now on: fsync(2)
    try:
        if not unclean and not _is_clean(filesystem):
            raise ImageError(
                f"{image}: the file system was not cleanly unmounted",
                f"look after it with: e2fsck -f {shlex.quote(str(image))}",
            )
        _check_whole(image, filesystem, offset)
        if write:
            filesystem.now = EPOCH
            check(library.ext2fs_read_bitmaps(filesystem))
        yield FileSystem(filesystem)
        if write:
            check(library.ext2fs_flush2(filesystem, libext2fs.FLUSH_NO_SYNC))
            # Writes what is still in the library's cache; ext2fs_free() would, too, but not say if that failed.
            check(library.io_channel_set_options(filesystem.io, b"cache=off"))
            date(synced)
            os.fsync(synced)
    except ExtError as error:
        if written is not None:
            written.check()
        raise ImageError(f"{image}: {error}") from error
    finally:
        library.ext2fs_free(filesystem)
        os.close(synced)


def _is_clean(filesystem: Any) -> bool:  # noqa: ANN401  # cffi's pointers have no types
    superblock = filesystem.super
    replay = superblock.s_feature_incompat & libext2fs.INCOMPAT_RECOVER
    return bool(superblock.s_state & libext2fs.STATE_CLEAN) and not (
        superblock.s_state & libext2fs.STATE_ERRORS or replay
    )


def _check_whole(image: Path, filesystem: Any, offset: int) -> None:  # noqa: ANN401  # as above
    size = libext2fs.library().ext2fs_blocks_count(filesystem.super) * filesystem.blocksize
    there = image.stat().st_size
    if there - offset < size:  # e2fsck -n mentions it, and finds nothing wrong with that
        raise ImageError(f"{image} is cut off: it has {there} bytes, and its file system {size}")


class FileSystem:
    """An open file system. Paths are relative to its root, without a leading slash; symlinks in them stay inside."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
        self._fs = handle
        self._library = libext2fs.library()
        self._inodes = Inodes(handle)
        self._tree = DirectoryTree(handle, self._inodes)
        self._writer = Writer(handle, self._inodes, self._tree)

    @property
    def uuid(self) -> UUID:
        """The file system's UUID, as blkid shows it."""
        return UUID(bytes=bytes(self._fs.super.s_uuid))

    @uuid.setter
    def uuid(self, uuid: UUID) -> None:
        """Set it. Raises ImageError if the file system does not allow that."""
        if not self.can_change_uuid:
            raise ImageError("the checksums of all metadata depend on the UUID", "change it with tune2fs -U")
        self._fs.super.s_uuid = uuid.bytes
        if self._fs.super.s_feature_ro_compat & libext2fs.RO_COMPAT_GDT_CSUM:
            check(self._library.ext2fs_set_gdt_csum(self._fs))
        self._fs.flags |= libext2fs.FLAG_SUPER_CHANGED
        # The backups too: e2fsck checks a whole file system whose superblocks disagree.
        self._fs.flags &= ~libext2fs.FLAG_MASTER_SUPER_ONLY

    @property
    def is_clean(self) -> bool:
        """Whether it was cleanly unmounted, and nobody found errors in it; if not, a guest may be writing to it."""
        return _is_clean(self._fs)

    def mark_checked(self) -> None:
        """Record that e2fsck found the file system in order since it was last mounted: resize2fs and tune2fs ask."""
        superblock = self._fs.super
        superblock.s_lastcheck = max(superblock.s_lastcheck, superblock.s_mtime)
        self._fs.flags |= libext2fs.FLAG_SUPER_CHANGED

    @property
    def kind(self) -> str:
        """What blkid calls it: ext2, ext3 or ext4, which are ever more features of one format."""
        superblock = self._fs.super
        if superblock.s_feature_incompat & libext2fs.INCOMPAT_EXT4 or (
            superblock.s_feature_ro_compat & libext2fs.RO_COMPAT_EXT4
        ):
            return "ext4"
        return "ext3" if self.has_journal else "ext2"

    @property
    def has_journal(self) -> bool:
        """Whether it has a journal, which mke2fs leaves out where there is too little room."""
        return bool(self._fs.super.s_feature_compat & libext2fs.COMPAT_HAS_JOURNAL)

    @property
    def can_change_uuid(self) -> bool:
        """Whether the UUID is the superblock's alone: so without metadata_csum, or with metadata_csum_seed too."""
        superblock = self._fs.super
        checksums = superblock.s_feature_ro_compat & libext2fs.RO_COMPAT_METADATA_CSUM
        return not checksums or bool(superblock.s_feature_incompat & libext2fs.INCOMPAT_CSUM_SEED)

    @property
    def has_orphan_file(self) -> bool:
        """Whether it has an orphan file, which Linux knows since 5.15."""
        return bool(self._fs.super.s_feature_compat & libext2fs.COMPAT_ORPHAN_FILE)

    @property
    def inode_size(self) -> int:
        """Bytes of an inode."""
        return int(self._fs.super.s_inode_size)

    def status(self, path: str, *, follow_last: bool = False) -> Status | None:
        """What there is to know of what is at `path` besides its contents; None if nothing is."""
        number = self._tree.resolve(path, follow_last=follow_last)
        return None if number is None else self._inodes.status(number)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, symlinks followed."""
        return self._tree.resolve(path) is not None

    def mode(self, path: str) -> int | None:
        """Type and permissions of what is at `path` itself, as st_mode of inode(7); None if nothing is."""
        number = self._tree.resolve(path, follow_last=False)
        return None if number is None else self._inodes.mode(number)

    def owner(self, path: str) -> tuple[int, int] | None:
        """User and group of what is at `path` itself; None if nothing is."""
        number = self._tree.resolve(path, follow_last=False)
        if number is None:
            return None
        inode = self._inodes.read(number)
        return inode.i_uid | inode.i_uid_high << 16, inode.i_gid | inode.i_gid_high << 16

    def xattr(self, path: str, name: str) -> bytes | None:
        """An extended attribute of what is at `path` itself; None if there is none."""
        status = self.status(path)
        return None if status is None else self.xattrs(status).get(name)

    def xattrs(self, file: Status) -> dict[str, bytes]:
        """All extended attributes of a file, by their full names."""
        return self._inodes.xattrs(file.number)

    def set_xattr(self, file: Status, name: str, value: bytes) -> None:
        """Give a file an extended attribute. Raises ImageError if there is no room for it."""
        self._inodes.set_xattrs(file.number, [(name, value)])

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads; None if there is none."""
        number = self._tree.resolve(path, follow_last=False)
        return None if number is None or not self._inodes.is_symlink(number) else self._inodes.link_target(number)

    def names(self, path: str) -> list[str]:
        """The names in the directory at `path`, sorted; none if there is no directory."""
        number = self._tree.resolve(path)
        return [] if number is None or not self._inodes.is_directory(number) else self._tree.names(number)

    def read(self, path: str, limit: int | None = None) -> bytes:
        """The contents of the file at `path`, symlinks followed; of long ones, at least the first `limit` bytes.

        Raises ImageError if there is none, or one that is longer than 64 MiB, without a limit.
        """
        longest = _LONGEST if limit is None else limit
        data = b"".join(islice(self.contents(path), -(-longest // CHUNK) + (limit is None)))
        if limit is None and len(data) > longest:
            raise ImageError(f"the file {path!r} is too long to be read: it has more than {longest:,} bytes")
        return data

    def contents(self, path: str) -> Iterator[bytes]:
        """The same piece by piece, holes as zeros. Raises ImageError also while it is read."""
        number = self._tree.resolve(path)
        if number is None or self._inodes.kind(number) != stat.S_IFREG:
            raise ImageError(f"there is no file {path!r} in the file system")
        yield from self._inodes.contents(number)

    def entries(self) -> Iterator[Entry]:
        """Everything in the file system as a layer, without sockets. Raises ImageError also while it is read."""
        return reader.entries(self._inodes, self._tree)

    def walk(self) -> Iterator[tuple[str, Status]]:
        """The path of everything in the file system, directories before what is in them. Raises as entries() does."""
        return reader.walk(self._inodes, self._tree)

    def apply(self, layer: Layer) -> None:
        """Write every entry of `layer` in its order; what was there under the same name is replaced.

        Raises ImageError for an entry that does not fit, in room or in kind; OSError when the disk that the image is on
        is full. The image is of no use then.
        """
        for entry in layer:
            try:
                self._writer.write(entry)
            except ExtError as error:
                if error.code in _FULL:
                    raise ImageError(
                        f"no room for {entry.path!r}: the file system is full", "give the disk a larger size"
                    ) from error
                raise ImageError(f"cannot write {entry.path!r}: {error}") from error
