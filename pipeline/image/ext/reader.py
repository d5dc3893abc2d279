"""File systems read back as layers: everything in them, as tar files have it."""

import stat
from collections.abc import Callable, Iterator

from pipeline.errors import ImageError, quoted
from pipeline.image.ext.directory import DirectoryTree
from pipeline.image.ext.inode import Inodes, Status
from pipeline.image.ext.libext2fs import ROOT_INODE
from pipeline.image.layer.entries import (
    CHUNK,
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Metadata,
    Special,
    Symlink,
)

_SPECIAL = {stat.S_IFBLK: Kind.BLOCK, stat.S_IFCHR: Kind.CHARACTER, stat.S_IFIFO: Kind.FIFO}
_ZEROS = bytes(CHUNK)
_DAMAGED = "look after the file system with e2fsck -f"


def entries(inodes: Inodes, tree: DirectoryTree) -> Iterator[Entry]:
    """Everything in a file system in the order of the names, without sockets, and without lost+found at its top.

    Raises ImageError for what makes no sense, and libext2fs.ExtError.
    """
    first_names: dict[int, str] = {}
    for path, status in walk(inodes, tree):
        if stat.S_ISSOCK(status.mode) or path.partition("/")[0] == "lost+found":
            continue
        if stat.S_ISDIR(status.mode):
            yield Directory(path, _metadata(inodes, status))
        elif status.number in first_names:
            yield HardLink(path, first_names[status.number])
        else:
            first_names[status.number] = path
            yield _entry(inodes, status, path)


def walk(inodes: Inodes, tree: DirectoryTree) -> Iterator[tuple[str, Status]]:
    """The paths and inodes of everything in a file system, directories before what is in them. Raises as above."""
    pending = [("", ROOT_INODE, frozenset[int]())]
    while pending:
        path, number, trail = pending.pop()
        status = inodes.status(number)
        yield path, status
        if stat.S_ISDIR(status.mode):
            if number in trail:
                raise ImageError(f"the directory {quoted(path)} is inside itself", _DAMAGED)
            below = [(_join(path, name), child, trail | {number}) for name, child in tree.children(number)]
            pending += reversed(below)


def _join(path: str, name: str) -> str:
    if not name or "/" in name or "\0" in name:
        raise ImageError(f"the directory {quoted(path)} is damaged: it has the name {quoted(name)}", _DAMAGED)
    return f"{path}/{name}" if path else name


def _metadata(inodes: Inodes, status: Status) -> Metadata:
    return Metadata(
        mode=stat.S_IMODE(status.mode),
        uid=status.uid,
        gid=status.gid,
        mtime=status.mtime,
        xattrs=tuple(sorted(inodes.xattrs(status.number).items())),
    )


def _entry(inodes: Inodes, status: Status, path: str) -> Entry:
    metadata, number = _metadata(inodes, status), status.number
    match stat.S_IFMT(status.mode):
        case stat.S_IFREG:
            return File(path, metadata, Content(status.size, _chunks(inodes, number)))
        case stat.S_IFLNK:
            return Symlink(path, metadata, inodes.link_target(number))
        case stat.S_IFBLK | stat.S_IFCHR | stat.S_IFIFO as kind:
            return Special(path, metadata, _SPECIAL[kind], *inodes.device(number))
    raise ImageError(f"{quoted(path)} is of a kind that file systems do not have", _DAMAGED)


def _chunks(inodes: Inodes, number: int) -> Callable[[], Iterator[tuple[int, bytes]]]:
    def chunks() -> Iterator[tuple[int, bytes]]:
        offset = 0
        for data in inodes.contents(number):
            if data != _ZEROS[: len(data)]:
                yield offset, data
            offset += len(data)

    return chunks
