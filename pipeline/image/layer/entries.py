"""Layers: ordered lists of files, directories, links and devices that can be written into a file system image."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pipeline.errors import ImageError, quoted
from pipeline.image.layer.findings import Findings
from pipeline.model.sizes import approximate_size

CHUNK = 1 << 20
"""How much of a file's contents is held in memory at a time, in bytes."""

_PATH_MAX = 4096
"""Of linux/limits.h: one more than the bytes of the longest path that can be opened."""

EPOCH = 1_700_000_000
"""The time, in seconds since 1970, that images and masters carry wherever they would carry that of their making."""

_SMALL = 1 << 29
_BYTES_PER_INODE, _OF_SMALL = 1 << 14, 1 << 12
"""mke2fs makes an inode for so many bytes: see inode_ratio in mke2fs.conf, and "small" in mke2fs.conf(5)."""

_SMALLEST_INODE = 128
"""Bytes; see the ext4 disk layout in the kernel's documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Who may do what with an entry. `mode` has the permission bits alone; `mtime` is in nanoseconds since 1970."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = EPOCH * 10**9
    xattrs: tuple[tuple[str, bytes], ...] = ()
    """Extended attributes as the kernel's getxattr(2) shows them, by their full names."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file: its size in bytes, and its data as (offset, bytes) in rising order; gaps are holes."""

    size: int
    chunks: Callable[[], Iterator[tuple[int, bytes]]]

    @classmethod
    def of(cls, data: bytes) -> "Content":
        """The content that is just these bytes."""
        return cls(len(data), lambda: iter([(0, data)] if data else []))

    def read(self) -> bytes:
        """All of it at once, holes as zeros."""
        whole = bytearray(self.size)
        for offset, data in self.chunks():
            whole[offset : offset + len(data)] = data
        return bytes(whole)


@dataclass(frozen=True, slots=True)
class File:
    """A regular file."""

    path: str
    metadata: Metadata
    content: Content


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory; one that is there already keeps what is in it."""

    path: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link."""

    path: str
    metadata: Metadata
    target: str


@dataclass(frozen=True, slots=True)
class HardLink:
    """Another name for a file that is there already."""

    path: str
    target: str


class Kind(StrEnum):
    """The special files of mknod(2)."""

    BLOCK = "block device"
    CHARACTER = "character device"
    FIFO = "fifo"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Special:
    """A device, fifo or socket; `major` and `minor` count for devices only."""

    path: str
    metadata: Metadata
    kind: Kind
    major: int = 0
    minor: int = 0


@dataclass(frozen=True, slots=True)
class Removal:
    """A name that shall not be there: removed with all that is below it, fine when it is absent."""

    path: str


Entry = File | Directory | Symlink | HardLink | Special | Removal
Layer = Iterable[Entry]


def text(path: str, contents: str, mode: int = 0o644) -> File:
    """A file of root's with these contents."""
    return File(path, Metadata(mode=mode), Content.of(contents.encode(errors="surrogateescape")))


def relative(name: str) -> str:
    """The path inside an image that an archive's or a list's name means: no leading slash, no dots; "" is the root.

    Raises ImageError for a name that climbs out of the tree or that no file system can hold.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    if ".." in parts:
        raise ImageError(f"{quoted(name)} leads out of the root file system")
    if "\0" in name or len(os.fsencode(path)) >= _PATH_MAX or any(len(os.fsencode(part)) > 255 for part in parts):
        raise ImageError(
            f"{quoted(name)} is not a possible file name",
            f"names have at most 255 bytes, and paths {_PATH_MAX - 1}; neither has a NUL",
        )
    return path


class Allowance:
    """What a layer may hold in all: a few bytes of an archive may unpack to more than any disk has.

    Twice as much as a file system of `limit` bytes takes: that is certain not to fit, even if some of it is replaced by
    what comes later.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._bytes = 2 * (limit or 0)
        self._entries = self._bytes // (_OF_SMALL if limit is not None and limit < _SMALL else _BYTES_PER_INODE)

    def take(self, size: int) -> None:
        """Count an entry with so many bytes of data. Raises ImageError when it is too much."""
        self._bytes -= size
        self._entries -= 1
        if self._limit is not None and (self._bytes < 0 or self._entries < 0):
            raise ImageError(
                "it holds more than twice what the guests' root disks have room for, of"
                f" {approximate_size(self._limit)}",
                "give them a larger root",
            )


def limited(layer: Layer, limit: int | None) -> Iterator[Entry]:
    """The same entries. Raises ImageError when they are more than the Allowance of a file system of `limit` bytes.

    Files count by their sizes, holes included: so many bytes are written where they become a tar file.
    """
    allowance = Allowance(limit)
    for entry in layer:
        allowance.take(entry.content.size if isinstance(entry, File) else 0)
        yield entry


@dataclass(frozen=True, slots=True)
class Contents:
    """What a master holds, in a few words; equal contents have equal words, however they are packed."""

    digest: str
    """SHA-256, 64 hexadecimal digits."""
    room: int
    """The bytes that a file system for it has at the very least."""
    machine: str | None = field(default=None, compare=False)
    """What its programs are for, as far as that was found out; see findings.py, and so for the rest."""
    drivers: tuple[str, ...] | None = field(default=None, compare=False)
    """Those that its kernels have for disks."""


class Digest:
    """Reads a layer through, and then knows its contents: `apply(digest.watch(layer))`, `digest.contents()`.

    What is said of the files and what is in them are hashed apart, or a file's data could pass for the next file.
    """

    def __init__(self) -> None:
        self._facts = hashlib.sha256()
        self._data = hashlib.sha256()
        self._room = 0
        self._findings = Findings()

    def watch(self, layer: Layer) -> Iterator[Entry]:
        """The same entries again; each file's contents count as they are read."""
        for entry in layer:
            self._room += _SMALLEST_INODE
            if isinstance(entry, File):
                self._facts.update(repr((entry.path, entry.metadata, entry.content.size)).encode())
                yield replace(entry, content=replace(entry.content, chunks=self._watched(entry)))
            else:
                self._facts.update(repr(entry).encode())
                yield entry

    def read(self, layer: Layer) -> Contents:
        """Read the whole of `layer`."""
        for entry in self.watch(layer):
            if isinstance(entry, File):
                for _ in entry.content.chunks():
                    pass
        return self.contents()

    def contents(self) -> Contents:
        """What was read so far."""
        both = hashlib.sha256(self._facts.digest() + self._data.digest())
        return Contents(both.hexdigest(), self._room, self._findings.machine, self._findings.drivers)

    def _watched(self, file: File) -> Callable[[], Iterator[tuple[int, bytes]]]:
        listener = self._findings.listener(file.path)

        def chunks() -> Iterator[tuple[int, bytes]]:
            end = -1
            for offset, data in file.content.chunks():
                if listener is not None:
                    listener(offset, data)
                if offset != end:
                    self._facts.update(b"%d hole %d" % (end, offset))
                self._data.update(data)
                self._room += len(data)
                end = offset + len(data)
                yield offset, data
            self._facts.update(b"%d end" % end)

        return chunks
