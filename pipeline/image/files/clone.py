"""Clones: copies of images that share their blocks where the file system can, and keep their holes where it cannot."""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from pipeline import input_file
from pipeline.image.files import private, sparse

_FICLONE = 0x40049409
"""_IOW(0x94, 9, int) of linux/fs.h; see ioctl_ficlone(2)."""
_FICLONERANGE = 0x4020940D
_RANGE = struct.Struct("=qQQQ")
"""_IOW(0x94, 13, struct file_clone_range): a descriptor, from where, how much (0: to the end), to where."""

_NO_REFLINK = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)
_CHUNK = 1 << 22


def clone(source: Path, target: Path, *, allocate: bool = False) -> None:
    """Copy `source` to `target`, a new file or an empty draft: by reflink if possible, else the data between holes.

    With `allocate` the copy has all of its space for itself from the start; so its blocks are not shared, because a
    write to a shared block needs a new one, which a full disk no longer has. Raises OSError, such as when the disk is
    full.
    """
    with input_file.open_regular(source) as reader, os.fdopen(private.open_empty(target), "r+b") as writer:
        if not allocate and _reflink(reader.fileno(), writer.fileno()):
            return
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), size)
        if allocate:
            sparse.allocate(target)
        for start, end in data_runs(reader.fileno(), size):
            _copy(reader.fileno(), writer.fileno(), start, end, start)


def append(source: Path, target: Path, *, allocate: bool = False) -> None:
    """Put `source` behind what is in the file `target`: by reflink if possible, else as clone() does.

    What is in `target` must be whole blocks for that, as 1 MiB is. With `allocate` it has all of its space afterwards.
    Raises OSError.
    """
    with input_file.open_regular(source) as reader, target.open("r+b") as writer:
        before = os.fstat(writer.fileno()).st_size
        if not allocate and _reflink_range(reader.fileno(), writer.fileno(), before):
            return
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), before + size)
        if allocate:
            sparse.allocate(target)
        for start, end in data_runs(reader.fileno(), size):
            _copy(reader.fileno(), writer.fileno(), start, end, before + start)


@cache
def shares_blocks(folder: Path) -> bool:
    """Whether clones in `folder`, or where it will be, share their blocks; not so where nothing can be written.

    It is tried out, with two empty files that never have a name: see O_TMPFILE in open(2).
    """
    folder = sparse.standing(folder)
    try:
        with _probe(folder) as source, _probe(folder) as target:
            return _reflink(source.fileno(), target.fileno())
    except OSError:  # whatever is built there tells why
        return False


def can_share(source: Path, folder: Path) -> bool:
    """Whether a clone of `source` in `folder` would share its blocks. It is tried out. Raises OSError."""
    with input_file.open_regular(source) as reader, _probe(folder) as target:
        return _reflink(reader.fileno(), target.fileno())


def _probe(folder: Path) -> IO[bytes]:
    """An empty file without a name; where a file system has no such, it has one for a moment, that of a draft."""
    return TemporaryFile(dir=folder, prefix=".probe.draft-")


def data_runs(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file has data rather than holes, as (start, end) in bytes; see SEEK_DATA in lseek(2)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def _reflink(source: int, target: int) -> bool:
    return _shares(target, _FICLONE, source)


def _reflink_range(source: int, target: int, place: int) -> bool:
    return _shares(target, _FICLONERANGE, _RANGE.pack(source, 0, 0, place))


def _shares(target: int, request: int, argument: int | bytes) -> bool:
    try:
        fcntl.ioctl(target, request, argument)
    except OSError as error:
        if error.errno in _NO_REFLINK:
            return False
        raise
    return True


def _copy(source: int, target: int, start: int, end: int, place: int) -> None:
    # Not copy_file_range(2), which refuses to copy to another file system, and on XFS and btrfs shares the blocks.
    os.lseek(target, place, os.SEEK_SET)
    while start < end:
        copied = os.sendfile(target, source, start, min(_CHUNK, end - start))
        if not copied:
            raise OSError(errno.EIO, "the image became shorter while it was copied")
        # The disk begins to write now, so that fsync has little left to wait for; see posix_fadvise(2).
        os.posix_fadvise(target, place, copied, os.POSIX_FADV_DONTNEED)
        start += copied
        place += copied
