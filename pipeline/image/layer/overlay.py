"""Overlays: a tree as it will be once a layer is written into it."""

import stat
from functools import cache

from pipeline.image.layer.entries import Directory, Entry, File, Metadata, Removal, Symlink
from pipeline.image.layer.tree import Tree, resolve

_TYPES = {File: stat.S_IFREG, Directory: stat.S_IFDIR, Symlink: stat.S_IFLNK}
_MISSING_DIRECTORY = Metadata(mode=0o755)


class Overlay:
    """The tree `below` with the entries on top that were added; a Tree itself."""

    def __init__(self, below: Tree) -> None:
        self._real = _Real(below)
        self._resolved: dict[str, str] = {}
        """Paths without symlinks by those that were asked for, since the last change."""

    def add(self, entry: Entry) -> None:
        """Have `entry` in the tree, as a file system would after it is written."""
        self._real.put(self.place(entry.path), entry)
        self._resolved.clear()

    def resolve(self, path: str) -> str:
        """The path without symlinks that `path` comes to, as tree.resolve() has it; cheap when asked again."""
        if path not in self._resolved:
            self._resolved[path] = resolve(self._real, path)
        return self._resolved[path]

    def place(self, path: str) -> str:
        """The path with the symlinks of its directories followed: two ways to one file are one file."""
        above, _, name = path.rpartition("/")
        return f"{self.resolve(above)}/{name}".lstrip("/")

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`, symlinks followed."""
        return self._real.mode(self.resolve(path)) is not None

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads; None if there is none."""
        return self._real.readlink(self.place(path))

    def names(self, path: str) -> list[str]:
        """The names in the directory at `path`, sorted; none if there is no directory."""
        return self._real.names(self.resolve(path))

    def mode(self, path: str) -> int | None:
        """Type and permissions of what is at `path` itself; None if nothing is."""
        return self._real.mode(self.place(path))

    def owner(self, path: str) -> tuple[int, int] | None:
        """User and group of what is at `path` itself; None if nothing is."""
        return self._real.owner(self.place(path))

    def xattr(self, path: str, name: str) -> bytes | None:
        """An extended attribute of what is at `path` itself; None if there is none."""
        return self._real.xattr(self.place(path), name)

    def read(self, path: str, limit: int | None = None) -> bytes:
        """The contents of the file at `path`, symlinks followed. Raises ImageError if there is none."""
        return self._real.read(self.resolve(path), limit)


class _Real:
    """The same by paths without symlinks on the way."""

    def __init__(self, below: Tree) -> None:
        self._below = below
        # What is below is asked for again and again, and stays as it is while there is an overlay on it.
        self._readlink = cache(below.readlink)
        self._mode = cache(below.mode)
        self._entries: dict[str, Entry] = {}
        self._fresh: set[str] = set()
        """Directories in which nothing of the tree below can be seen."""

    def put(self, path: str, entry: Entry) -> None:
        """Have `entry` at `path`."""
        is_directory = stat.S_ISDIR(self.mode(path) or 0)
        if not (isinstance(entry, Directory) and is_directory):
            self._entries = {name: each for name, each in self._entries.items() if not name.startswith(f"{path}/")}
            self._fresh.add(path)
        self._entries[path] = entry
        above = path.rpartition("/")[0]
        while above and not isinstance(entry, Removal) and self.mode(above) is None:
            self._entries[above] = Directory(above, _MISSING_DIRECTORY)
            self._fresh.add(above)
            above = above.rpartition("/")[0]

    def readlink(self, path: str) -> str | None:
        """Where the symlink at `path` leads."""
        entry = self._entries.get(path)
        if entry is not None:
            return entry.target if isinstance(entry, Symlink) else None
        is_symlink = not self._is_hidden(path) and stat.S_ISLNK(self._mode(path) or 0)
        return self._readlink(path) if is_symlink else None

    def names(self, path: str) -> list[str]:
        """The names in the directory `path`."""
        if not stat.S_ISDIR(self.mode(path) or 0):
            return []
        found = set() if path in self._fresh or self._is_hidden(path) else {*self._below.names(path)}
        for name, entry in self._entries.items():
            above, _, last = name.rpartition("/")
            if name and above == path:
                (found.discard if isinstance(entry, Removal) else found.add)(last)
        return sorted(found)

    def mode(self, path: str) -> int | None:
        """Type and permissions."""
        entry = self._entries.get(path)
        if entry is None:
            below = None if self._is_hidden(path) else self._mode(path)
            return below if path or below is not None else stat.S_IFDIR | 0o755
        if isinstance(entry, File | Directory | Symlink):
            return _TYPES[type(entry)] | entry.metadata.mode
        return None if isinstance(entry, Removal) else stat.S_IFREG

    def owner(self, path: str) -> tuple[int, int] | None:
        """User and group."""
        entry = self._entries.get(path)
        if isinstance(entry, File | Directory | Symlink):
            return entry.metadata.uid, entry.metadata.gid
        return None if entry or self._is_hidden(path) else self._below.owner(path)

    def xattr(self, path: str, name: str) -> bytes | None:
        """An extended attribute."""
        entry = self._entries.get(path)
        if isinstance(entry, File | Directory | Symlink):
            return dict(entry.metadata.xattrs).get(name)
        return None if entry or self._is_hidden(path) else self._below.xattr(path, name)

    def read(self, path: str, limit: int | None) -> bytes:
        """What is in a file."""
        entry = self._entries.get(path)
        return entry.content.read() if isinstance(entry, File) else self._below.read(path, limit)

    def _is_hidden(self, path: str) -> bool:
        """Whether something above `path` is not any more what it was below."""
        above = path.rpartition("/")[0]
        while above:
            if above in self._fresh:
                return True
            above = above.rpartition("/")[0]
        return False
