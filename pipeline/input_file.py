"""Files that others wrote, opened for reading: regular ones only, so that no device, FIFO or socket is waited for.

Every module that reads what the user names, or what is in a folder that the user names, opens it here; a test finds
those that do not.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

_KINDS: Final = {
    stat.S_IFLNK: "a symlink",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}
"""The types of files by S_IFMT of inode(7)."""

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC
_PIECE: Final = 1 << 20
"""Bytes that one read asks for: a size that a file only claims to have takes no memory."""


class UnfitFileError(OSError):
    """What is at a path cannot be an input. `strerror` says why, as "it is a FIFO, not a regular file"."""

    def __init__(self, path: Path, reason: str, code: int = errno.EINVAL) -> None:
        super().__init__(code, reason, str(path))


def check(path: Path) -> None:
    """Raise OSError unless `path` leads to a regular file.

    Nothing is opened: to open a device may change it, and a FIFO waits for a writer, see fifo(7).
    """
    _check(path, path.stat())


def open_regular(path: Path, *, inside: Path | None = None, limit: int | None = None) -> IO[bytes]:
    """The regular file at `path`, opened for reading.

    Below the folder `inside`, what others have put there is not trusted: no symlink is followed. With `limit`, files of
    more bytes than that are refused. Raises OSError, as UnfitFileError for what is a device, a FIFO, a socket or a
    folder, for a file that the kernel makes up as it is read (proc(5), sysfs(5)), and for one that is too large.
    """
    with _folder(path, inside) as (folder, name):
        _check(path, os.stat(name, dir_fd=folder, follow_symlinks=inside is None))
        # Another file may be there by now: O_NONBLOCK has no open(2) wait, and what was opened is looked at once more.
        flags = _FLAGS | os.O_NONBLOCK | os.O_NOCTTY | (0 if inside is None else os.O_NOFOLLOW)
        try:
            descriptor = os.open(name, flags, dir_fd=folder)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        status = os.fstat(descriptor)
        _check(path, status)
        if _is_made_up(descriptor, status):
            raise UnfitFileError(path, "it is a file of the kernel's, not one on a disk")
        if limit is not None and status.st_size > limit:
            raise _too_large(path, limit)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read(path: Path, limit: int, *, inside: Path | None = None) -> bytes:
    """The contents of the regular file at `path`, at most `limit` bytes. Raises OSError as open_regular() does."""
    with open_regular(path, inside=inside, limit=limit) as file:
        data = bytearray()
        while more := file.read(min(_PIECE, limit + 1 - len(data))):
            data += more
        if len(data) > limit:  # it has grown since
            raise _too_large(path, limit)
        return bytes(data)


@contextmanager
def _folder(path: Path, inside: Path | None) -> Iterator[tuple[int | None, str]]:
    """The folder of `path` as a descriptor, and the name in it; without `inside`, no folder and the path."""
    if inside is None:
        yield None, str(path)
        return
    *above, name = path.relative_to(inside).parts
    descriptor = os.open(inside, _FLAGS | os.O_DIRECTORY)
    try:
        for part in above:
            below = os.open(part, _FLAGS | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, name
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnfitFileError(path, "a symlink leads to it, or a file is where a folder should be") from error
        raise
    finally:
        os.close(descriptor)


def _too_large(path: Path, limit: int) -> UnfitFileError:
    return UnfitFileError(path, f"it is larger than {limit:,} bytes", errno.EFBIG)


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnfitFileError(path, f"it is {kind}, not a regular file")


def _is_made_up(descriptor: int, status: os.stat_result) -> bool:
    """Whether the file is one of proc(5), sysfs(5) or the like: regular by its mode, without end or of any size.

    Those file systems have no blocks, as simple_statfs() of the kernel's fs/libfs.c says. Neither has a tmpfs without a
    limit, nor a ramfs; but their files have blocks, or nothing in them.
    """
    if status.st_blocks or os.fstatvfs(descriptor).f_blocks:
        return False
    try:
        return status.st_size > 0 or bool(os.read(descriptor, 1))
    except OSError:  # it would block, for one: kmsg of proc(5)
        return True
