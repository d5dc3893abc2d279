"""Trees: what can be looked at in a master or in an image, before anything is written."""

import stat
from collections.abc import Callable
from typing import Protocol

from pipeline.errors import ImageError
from pipeline.image.layer.entries import Content, Directory, Entry, File, HardLink, Layer, Metadata, Symlink

LARGEST_KEPT = 1 << 28
"""Bytes of the largest file whose contents are kept in memory: initrds have some ten MiB, few a hundred."""

_MOST_KEPT = 1 << 29
"""Bytes of all of them."""

_TYPES = {File: stat.S_IFREG, Directory: stat.S_IFDIR, Symlink: stat.S_IFLNK}

_SYMLINKS_FOLLOWED = 40
"""As many as the kernel follows in one path; see path_resolution(7)."""


class Tree(Protocol):
    """A root file system to look at. Paths are relative to its root; symlinks in them stay inside."""

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, symlinks followed."""

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads; None if there is none. Only the last name is not followed."""

    def names(self, path: str) -> list[str]:
        """The names in the directory at `path`, sorted; none if there is no directory."""

    def mode(self, path: str) -> int | None:
        """Type and permissions of what is at `path` itself, as st_mode of inode(7); None if nothing is."""

    def owner(self, path: str) -> tuple[int, int] | None:
        """User and group of what is at `path` itself; None if nothing is."""

    def xattr(self, path: str, name: str) -> bytes | None:
        """An extended attribute of what is at `path` itself, by its full name; None if there is none."""

    def read(self, path: str, limit: int | None = None) -> bytes:
        """The contents of the file at `path`, symlinks followed; of long ones, at least the first `limit` bytes.

        Raises ImageError if there is none.
        """


class Symlinks(Protocol):
    """The symlinks of a tree."""

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads, none of whose directories is one; None if there is none."""


class LayerTree:
    """The tree that a layer makes, read through once; it remembers the contents of the files that `keep` names."""

    def __init__(self, layer: Layer, keep: Callable[[str], bool]) -> None:
        self._links: dict[str, str] = {}
        self._statuses: dict[str, tuple[int, Metadata]] = {}
        self._contents: dict[str, Content] = {}
        self._pieces: dict[bytes, bytes] = {}
        """Of contents, each once: a small archive may have large files that repeat themselves."""
        self._kept = 0
        self._names: dict[str, set[str]] = {"": set()}
        for entry in layer:
            self._add(entry, keep)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, symlinks followed."""
        real = resolve(self, path)
        above, _, name = real.rpartition("/")
        return real in self._names or name in self._names.get(above, ())

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads; None if there is none."""
        return self._links.get(path)

    def names(self, path: str) -> list[str]:
        """The names in the directory at `path`, sorted; none if there is no directory."""
        return sorted(self._names.get(resolve(self, path), ()))

    def mode(self, path: str) -> int | None:
        """Type and permissions of what is at `path` itself; None if nothing is."""
        status = self._status(path)
        return status[0] if status else None

    def owner(self, path: str) -> tuple[int, int] | None:
        """User and group of what is at `path` itself; None if nothing is."""
        status = self._status(path)
        return (status[1].uid, status[1].gid) if status else None

    def xattr(self, path: str, name: str) -> bytes | None:
        """An extended attribute of what is at `path` itself; None if there is none."""
        status = self._status(path)
        return dict(status[1].xattrs).get(name) if status else None

    def _status(self, path: str) -> tuple[int, Metadata] | None:
        above, _, name = path.rpartition("/")
        return self._statuses.get(f"{resolve(self, above)}/{name}")

    def read(self, path: str, limit: int | None = None) -> bytes:  # all of it is in memory
        """The contents of the file at `path`, symlinks followed. Raises ImageError if there is none."""
        real = resolve(self, path)
        if real not in self._contents:
            raise ImageError(f"there is no file {path!r} that could be read")
        return self._contents[real].read()

    def _add(self, entry: Entry, keep: Callable[[str], bool]) -> None:
        above, _, name = entry.path.rpartition("/")
        above = resolve(self, above)
        path = f"{above}/{name}" if above else name
        self._names.setdefault(above, set()).add(name)
        self._links.pop(path, None)
        self._contents.pop(path, None)
        self._statuses.pop(f"{above}/{name}", None)
        if isinstance(entry, File | Directory | Symlink):
            self._statuses[f"{above}/{name}"] = _TYPES[type(entry)] | entry.metadata.mode, entry.metadata
        match entry:
            case Directory():
                self._names.setdefault(path, set())
            case Symlink():
                self._links[path] = entry.target
            case HardLink() if entry.target in self._contents:
                self._contents[path] = self._contents[entry.target]
            case File() if keep(path) and entry.content.size <= LARGEST_KEPT:
                self._contents[path] = self._copy(entry.content)
            case _:
                pass

    def _copy(self, content: Content) -> Content:
        pieces = []
        for offset, data in content.chunks():
            if data not in self._pieces:
                self._kept += len(data)
                if self._kept > _MOST_KEPT:
                    raise ImageError(
                        f"its kernels take more than {_MOST_KEPT:,} bytes", "remove those from /boot that are not used"
                    )
            pieces.append((offset, self._pieces.setdefault(data, data)))
        return Content(content.size, lambda: iter(pieces))


def resolve(tree: Symlinks, path: str) -> str:
    """The path without symlinks that `path` comes to in `tree`, whether there is something or not.

    Raises ImageError for a loop of symlinks.
    """
    ahead = path.split("/")[::-1]
    behind: list[str] = []
    followed = 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            behind = behind[:-1]
        elif name not in ("", "."):
            target = tree.readlink("/".join([*behind, name]))
            if target is None:
                behind.append(name)
                continue
            followed += 1
            if followed > _SYMLINKS_FOLLOWED:
                raise ImageError(f"{path!r} leads through too many symlinks")
            ahead += target.split("/")[::-1]
            behind = [] if target.startswith("/") else behind
    return "/".join(behind)
