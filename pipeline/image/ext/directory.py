"""The names of an open file system: looked up, added and removed."""

import os
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.errors import ImageError
from pipeline.image.ext.inode import Inodes
from pipeline.image.ext.libext2fs import DIR_NO_SPACE, FILE_NOT_FOUND, ROOT_INODE, check, ffi, library

_SYMLINKS_FOLLOWED = 40
"""As many as the kernel follows in one path; see path_resolution(7)."""

_FILE_TYPES = {  # EXT2_FT_* of ext2_fs.h: what directories say of a name's type
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


class _Place(NamedTuple):
    """Where a path leads: inode numbers from the root on, and how many symlinks were followed to get there."""

    trail: tuple[int, ...]
    followed: int


_ROOT = _Place((ROOT_INODE,), 0)


class DirectoryTree:
    """The directories of the file system that libext2fs has open as `handle`. Raises libext2fs.ExtError throughout."""

    def __init__(self, handle: Any, inodes: Inodes) -> None:  # noqa: ANN401  # cffi's pointers have no types
        self._fs = handle
        self._inodes = inodes
        self._library = library()
        self._number = ffi.new("ext2_ino_t *")
        self._directories: dict[str, _Place] = {}
        """By paths that were asked for; until something goes that paths may lead through."""
        self._missing: set[str] = set()
        """Paths that lead nowhere; until there are new names."""

    def directory(self, path: str) -> int | None:
        """The inode number of the directory at `path`, or None. Cheap when asked again."""
        place = self._place(path, path)
        return place.trail[-1] if place and self._inodes.is_directory(place.trail[-1]) else None

    def resolve(self, path: str, *, follow_last: bool = True) -> int | None:
        """The inode number of what is at `path`, or None. Symlinks are followed as if this were mounted at /.

        Raises ImageError for a loop of symlinks.
        """
        above, _, name = path.rpartition("/")
        place = self._place(above, path)
        place = place and self._walk(place, name, path, follow_last=follow_last)
        return place.trail[-1] if place else None

    def _place(self, above: str, path: str) -> _Place | None:
        """Where `above`, the start of `path`, leads with all symlinks followed; directories are remembered."""
        place = self._directories.get(above)
        if place is not None or above in self._missing:
            return place
        known = above
        while known and known not in self._directories:
            known = known.rpartition("/")[0]
        place = self._walk(self._directories.get(known, _ROOT), above[len(known) :], path, follow_last=True)
        if place is None:
            self._missing.add(above)
        elif self._inodes.is_directory(place.trail[-1]):
            self._directories[above] = place
        return place

    def _walk(self, start: _Place, names: str, path: str, *, follow_last: bool) -> _Place | None:
        """Where `names`, a part of `path`, leads from `start` on."""
        ahead = names.split("/")[::-1]
        trail, followed = start
        while ahead:
            name = ahead.pop()
            if name in ("", "."):
                continue
            if name == "..":
                trail = trail[:-1] or trail
                continue
            number = self.lookup(trail[-1], name) if self._inodes.is_directory(trail[-1]) else None
            if number is None:
                return None
            if self._inodes.is_symlink(number) and (ahead or follow_last):
                followed += 1
                if followed > _SYMLINKS_FOLLOWED:
                    raise ImageError(f"{path!r} leads through too many symlinks")
                target = self._inodes.link_target(number)
                ahead += target.split("/")[::-1]
                trail = trail[:1] if target.startswith("/") else trail
            else:
                trail = (*trail, number)
        return _Place(trail, followed)

    def lookup(self, directory: int, name: str) -> int | None:
        """The inode number that `name` has in the directory with the inode number `directory`, or None."""
        raw = os.fsencode(name)
        code = self._library.ext2fs_lookup(self._fs, directory, raw, len(raw), ffi.NULL, self._number)
        if code == FILE_NOT_FOUND:
            return None
        check(code)
        return int(self._number[0])

    def names(self, directory: int) -> list[str]:
        """The names in `directory`, sorted, without "." and ".."."""
        return [name for name, _ in self.children(directory)]

    def children(self, directory: int) -> list[tuple[str, int]]:
        """The names in `directory`, sorted, with their inode numbers, without "." and ".."."""
        found: dict[str, int] = {}

        def collect(entry: Any, *_: object) -> int:  # noqa: ANN401  # a cffi pointer
            # The high byte of the length is the file's type.
            found[os.fsdecode(ffi.buffer(entry.name, entry.name_len & 0xFF)[:])] = entry.inode
            return 0

        function = ffi.callback("int(struct ext2_dir_entry *, int, int, char *, void *)", collect)
        check(self._library.ext2fs_dir_iterate(self._fs, directory, 0, ffi.NULL, function, ffi.NULL))
        return sorted(child for child in found.items() if child[0] not in (".", ".."))

    def link(self, directory: int, name: str, number: int) -> None:
        """Add `name` for the inode `number`, whose count of names is left to the caller."""
        file_type = _FILE_TYPES[self._inodes.kind(number)]
        self._adding(
            directory, lambda: self._library.ext2fs_link(self._fs, directory, os.fsencode(name), number, file_type)
        )

    def make_directory(self, directory: int, name: str) -> int:
        """Make an empty directory, and return its inode number."""
        number = self._inodes.find_free(directory, stat.S_IFDIR)
        self._adding(directory, lambda: self._library.ext2fs_mkdir(self._fs, directory, number, os.fsencode(name)))
        return number

    def make_symlink(self, directory: int, name: str, target: str) -> int:
        """Make a symbolic link, and return its inode number. Raises ImageError for a `target` that none can have."""
        if not target or "\0" in target:
            raise ImageError(f"{name!r}: there can be no symlink to {target!r}")
        number = self._inodes.find_free(directory, stat.S_IFLNK)
        raw = os.fsencode(name), os.fsencode(target)
        self._adding(directory, lambda: self._library.ext2fs_symlink(self._fs, directory, number, *raw))
        return number

    def remove(self, directory: int, name: str) -> None:
        """Remove `name` with all that is below it."""
        doomed: list[tuple[int, str, int]] = []  # a directory before what is in it
        pending = [(directory, name)]
        while pending:
            above, child = pending.pop()
            number = self.lookup(above, child)
            if number is not None:
                doomed.append((above, child, number))
                if self._inodes.is_directory(number):
                    pending += [(number, grandchild) for grandchild in self.names(number)]
        for above, child, number in reversed(doomed):
            self._remove_one(above, child, number)

    def _remove_one(self, directory: int, name: str, number: int) -> None:
        if self._inodes.is_directory(number):
            above = self._inodes.read(directory)
            above.i_links_count -= 1  # the ".." of the one that goes
            self._inodes.write(directory, above)
        if self._inodes.is_directory(number) or self._inodes.is_symlink(number):
            self._directories.clear()
        check(self._library.ext2fs_unlink(self._fs, directory, os.fsencode(name), number, 0))
        self._inodes.drop_name(number)

    def _adding(self, directory: int, add: Callable[[], int]) -> None:
        self._missing.clear()
        code = add()
        if code == DIR_NO_SPACE:
            check(self._library.ext2fs_expand_dir(self._fs, directory))
            code = add()
        check(code)
