"""Looking into a file system: its files listed, and copied out of it, whatever names and links are in there."""

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from pipeline.errors import ImageError
from pipeline.image.ext.filesystem import FileSystem
from pipeline.image.ext.inode import Status
from pipeline.image.layer.entries import CHUNK

_ZEROS = bytes(CHUNK)

_KINDS = {
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """Something in a file system."""

    path: str
    status: Status
    target: str | None
    """Where it leads, for a symlink."""


def escaped(text: str) -> str:
    """`text` on one line and harmless to a terminal: unprintable bytes in hexadecimal, and so backslashes doubled."""
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def listed(filesystem: FileSystem, path: str, *, recursive: bool = False) -> Iterator[Listed]:
    """What is in the directory at `path`, or just what is at `path`, symlinks followed; all below it if `recursive`.

    A directory comes before what is in it. Raises ImageError if there is nothing.
    """
    status = _status(filesystem, path)
    if not stat.S_ISDIR(status.mode):
        yield Listed(path, status, None)
        return
    pending = [(path, frozenset({status.number}))]
    while pending:
        above, trail = pending.pop()
        deeper = []
        for name in _names(filesystem, above):
            inside = f"{above.rstrip('/')}/{name}"
            found = filesystem.status(inside)
            if found is None:
                continue
            yield Listed(inside, found, filesystem.readlink(inside))
            if stat.S_ISDIR(found.mode) and recursive:
                _check_loop(inside, found, trail)
                deeper.append((inside, trail | {found.number}))
        pending += reversed(deeper)


def copy_out(filesystem: FileSystem, path: str, target: Path, note: Callable[[str], None]) -> None:
    """Copy the file or directory at `path`, symlinks followed, to `target`: whole or not at all.

    A file takes the place of one that is there; for a directory, nothing may be. Permissions (without set-user-ID,
    set-group-ID and sticky bits, and what the umask forbids) and times are kept, owners are not. Inside a directory,
    `note` gets a line for whatever is left out: devices, and symlinks that lead out of it. Raises ImageError and
    OSError.
    """
    status = _status(filesystem, path)
    if target.is_dir() and not target.is_symlink():
        raise ImageError(f"{target} is a folder that is there already", "choose another name")
    if stat.S_ISDIR(status.mode) and os.path.lexists(target):
        raise ImageError(f"{target} is there already", "choose another name")
    copying = _Copying(filesystem, note)
    with _draft(target) as draft:
        if stat.S_ISDIR(status.mode):
            copying.directory(path, draft, status)
        elif stat.S_ISREG(status.mode):
            copying.file(path, draft, status)
        else:
            raise ImageError(f"{path} is {_kind(status)}: there is nothing to copy")


@dataclass(frozen=True, slots=True)
class _Directory:
    """One that is to be made at `target`, with the numbers of those that it is in."""

    path: str
    target: Path
    status: Status
    depth: int
    trail: frozenset[int]


class _Copying:
    """The copying out of one file system."""

    def __init__(self, filesystem: FileSystem, note: Callable[[str], None]) -> None:
        self._filesystem = filesystem
        self._note = note
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    def file(self, path: str, target: Path, status: Status) -> None:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for chunk in self._filesystem.contents(path):
                if chunk == _ZEROS[: len(chunk)]:
                    file.seek(len(chunk), os.SEEK_CUR)
                else:
                    _write(file.fileno(), chunk)
            file.truncate()
        self._finish(target, status)

    def directory(self, path: str, target: Path, status: Status) -> None:
        pending = [_Directory(path, target, status, 0, frozenset())]
        made = []
        while pending:
            directory = pending.pop()
            _check_loop(directory.path, directory.status, directory.trail)
            directory.target.mkdir(mode=0o700)
            made.append(directory)
            for name in _names(self._filesystem, directory.path):
                pending += self._entry(directory, name)
        for directory in reversed(made):  # what is in them changes their times, and needs them writable
            self._finish(directory.target, directory.status)

    def _entry(self, above: "_Directory", name: str) -> Iterator["_Directory"]:
        """Copy what is called `name` in a directory; if that is a directory itself, it is left to be made."""
        path, target = f"{above.path.rstrip('/')}/{name}", above.target / name
        status = self._filesystem.status(path)
        if status is None:  # removed by the guest meanwhile
            return
        link = self._filesystem.readlink(path)
        if link is not None and _stays_inside(link, above.depth):
            target.symlink_to(link)
        elif link is not None:
            self._note(f"left out: {escaped(path)} is a symlink that leads out of the copy, to {escaped(link)}")
        elif stat.S_ISDIR(status.mode):
            yield _Directory(path, target, status, above.depth + 1, above.trail | {above.status.number})
        elif stat.S_ISREG(status.mode):
            self.file(path, target, status)
        else:
            self._note(f"left out: {escaped(path)} is {_kind(status)}")

    def _finish(self, target: Path, status: Status) -> None:
        target.chmod(stat.S_IMODE(status.mode) & 0o777 & ~self._umask)
        os.utime(target, ns=(status.mtime, status.mtime))


def _status(filesystem: FileSystem, path: str) -> Status:
    status = filesystem.status(path, follow_last=True)
    if status is None:
        raise ImageError(f"there is no {escaped(path)} on the disk")
    return status


def _names(filesystem: FileSystem, path: str) -> Iterator[str]:
    for name in filesystem.names(path):
        if "/" in name or "\0" in name or not name:
            raise ImageError(
                f"the directory {escaped(path)} is damaged: it has the name {escaped(name)!r}",
                "look after the file system with e2fsck -f",
            )
        yield name


def _check_loop(path: str, status: Status, trail: frozenset[int]) -> None:
    if status.number in trail:
        raise ImageError(f"the directory {escaped(path)} is inside itself", "look after the file system with e2fsck -f")


def _stays_inside(link: str, depth: int) -> bool:
    """Whether a symlink, in a directory `depth` levels below the top, leads to something inside, whatever is there.

    What follows the first name may be below another symlink, so that there ".." would lead anywhere.
    """
    parts = PurePosixPath(link).parts
    ups = sum(1 for _ in takewhile("..".__eq__, parts))
    return "/" not in parts and ups <= depth and ".." not in parts[ups:]


def _kind(status: Status) -> str:
    return _KINDS.get(stat.S_IFMT(status.mode), "no regular file")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A name beside `target` for the block to make something of, which then gets the name `target` in one step."""
    draft = target.with_name(f".{target.name[:200]}.draft-{secrets.token_hex(4)}")
    try:
        yield draft
        draft.rename(target)
    finally:
        if draft.is_dir() and not draft.is_symlink():
            shutil.rmtree(draft)
        else:
            draft.unlink(missing_ok=True)
