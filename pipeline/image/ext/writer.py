"""Layers written into an open file system, entry by entry."""

import stat
from typing import Any

from pipeline.errors import ImageError
from pipeline.image.ext.blocks import Blocks
from pipeline.image.ext.directory import DirectoryTree
from pipeline.image.ext.inode import Inodes
from pipeline.image.ext.libext2fs import LINK_MAX, ROOT_INODE
from pipeline.image.layer.entries import Directory, Entry, File, HardLink, Kind, Metadata, Removal, Special, Symlink

_SPECIAL = {
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
}
_MISSING_DIRECTORY = Metadata(mode=0o755)


class Writer:
    """Writes to the file system that libext2fs has open as `handle`."""

    def __init__(self, handle: Any, inodes: Inodes, tree: DirectoryTree) -> None:  # noqa: ANN401  # cffi's have no types
        self._inodes = inodes
        self._tree = tree
        self._blocks = Blocks(handle)

    def write(self, entry: Entry) -> None:
        """Write one entry; what was there under the same name is replaced.

        Raises ImageError for an entry that does not fit in kind, and ExtError when the library cannot do it.
        """
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
        self._inodes.set_metadata(ROOT_INODE, entry.metadata)

    def _directory(self, path: str) -> int:
        """The directory at `path`; like tar, makes what is missing on the way to a file."""
        missing: list[str] = []
        while (number := self._tree.directory(path)) is None:
            if self._tree.resolve(path, follow_last=False) is not None:
                raise ImageError(f"{path!r} is not a directory, nor does it lead to one")
            path, _, name = path.rpartition("/")
            missing.append(name)
        for name in reversed(missing):
            number = self._tree.make_directory(number, name)
            self._inodes.set_metadata(number, _MISSING_DIRECTORY)
        return number

    def _write_hard_link(self, entry: HardLink, directory: int, name: str) -> None:
        target = self._tree.resolve(entry.target, follow_last=False)
        if target is None or self._inodes.is_directory(target):
            raise ImageError(f"{entry.path!r} is a hard link to {entry.target!r}, which is no file before it")
        if target == self._tree.lookup(directory, name):
            return
        self._tree.remove(directory, name)
        inode = self._inodes.read(target)
        if inode.i_links_count == LINK_MAX:
            raise ImageError(f"{entry.path!r}: {entry.target!r} has {LINK_MAX} names already")
        inode.i_links_count += 1
        self._inodes.write(target, inode)
        self._tree.link(directory, name, target)

    def _write_special(self, entry: Special, directory: int) -> int:
        inode = self._inodes.new(_SPECIAL[entry.kind])
        if entry.kind in (Kind.CHARACTER, Kind.BLOCK):
            inode.i_block[0:2] = _device_number(entry)
        return self._inodes.allocate(directory, inode)

    def _write_file(self, entry: File, directory: int) -> int:
        if entry.content.size > self._blocks.largest_file:
            raise ImageError(f"{entry.path!r} has {entry.content.size} bytes, more than files can have here")
        inode = self._inodes.new(stat.S_IFREG)
        number = self._inodes.allocate(directory, inode)
        self._blocks.write(number, inode, entry.content)
        self._inodes.write(number, inode)
        return number


def _device_number(entry: Special) -> tuple[int, int]:
    """The first two words of a device's i_block: one of the two encodings of the kernel's kdev_t.h, and 0."""
    if entry.major < 1 << 8 and entry.minor < 1 << 8:
        return entry.major << 8 | entry.minor, 0
    if entry.major < 1 << 12 and entry.minor < 1 << 20:
        return 0, entry.minor & 0xFF | entry.major << 8 | (entry.minor & ~0xFF) << 12
    raise ImageError(f"{entry.path!r}: there is no device {entry.major}:{entry.minor}")
