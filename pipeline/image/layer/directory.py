"""Folders of the host as layers."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import input_file
from pipeline.errors import ImageError, MasterError
from pipeline.image.files.clone import data_runs
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
    limited,
)

_SPECIAL = {stat.S_IFBLK: Kind.BLOCK, stat.S_IFCHR: Kind.CHARACTER, stat.S_IFIFO: Kind.FIFO}
_NO_XATTRS = (errno.EOPNOTSUPP, errno.ENODATA)


def entries(folder: Path, limit: int | None = None) -> Iterator[Entry]:
    """What is in `folder`, in the order of the names: what GNU tar packs with --one-file-system, so without sockets.

    Raises MasterError for what cannot be read, or changes while it is read, and for more than the Allowance of a
    file system of `limit` bytes, holes included.
    """
    try:
        yield from limited(_entries(folder), limit)
    except ImageError as error:
        raise MasterError(f"{folder}: {error.message}", error.hint) from error


def _entries(folder: Path) -> Iterator[Entry]:
    first_names: dict[tuple[int, int], str] = {}
    with _master_errors(folder):
        for path, status in _walk(folder):
            name = os.fspath(path.relative_to(folder)) if path != folder else ""
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                first = first_names.setdefault((status.st_dev, status.st_ino), name)
                if first != name:
                    yield HardLink(name, first)
                    continue
            yield _entry(path, name, status)


def fingerprint(folder: Path) -> str:
    """Something that is the same as long as nothing in `folder` changes; far cheaper than reading it all.

    It also changes where only times or inodes do, as after a copy: then reading tells. Raises MasterError.
    """
    seen = hashlib.sha256()
    with _master_errors(folder):
        for path, status in _walk(folder):
            facts = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns)
            seen.update(repr((os.fspath(path), *facts, status.st_ctime_ns, status.st_ino)).encode())
    return seen.hexdigest()


@contextmanager
def _master_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MasterError(f"{error.filename or path}: {error.strerror}") from error


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything in `folder` that is on its own file system, itself first, each directory before what is in it."""
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    pending = [(folder, status)]
    device = status.st_dev
    while pending:
        path, status = pending.pop()
        if stat.S_ISSOCK(status.st_mode):
            continue
        yield path, status
        if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
            with os.scandir(path) as found:
                inside = [(path / child.name, child.stat(follow_symlinks=False)) for child in found]
            pending += sorted(inside, key=lambda child: child[0].name, reverse=True)


def _entry(path: Path, name: str, status: os.stat_result) -> Entry:
    kind = stat.S_IFMT(status.st_mode)
    metadata = Metadata(
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns,
        xattrs=tuple(_xattrs(path)),
    )
    if kind == stat.S_IFDIR:
        return Directory(name, metadata)
    if kind == stat.S_IFLNK:
        return Symlink(name, metadata, os.fspath(path.readlink()))
    if kind == stat.S_IFREG:
        return File(name, metadata, Content(status.st_size, _chunks(path, status)))
    return Special(name, metadata, _SPECIAL[kind], os.major(status.st_rdev), os.minor(status.st_rdev))


def _xattrs(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        for name in sorted(os.listxattr(path, follow_symlinks=False)):
            yield name, os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_XATTRS:
            raise


def _chunks(path: Path, status: os.stat_result) -> Callable[[], Iterator[tuple[int, bytes]]]:
    def chunks() -> Iterator[tuple[int, bytes]]:
        with _master_errors(path), input_file.open_regular(path, inside=path.parent) as file:
            for start, end in data_runs(file.fileno(), status.st_size):
                for offset in range(start, min(end, status.st_size), CHUNK):
                    yield offset, os.pread(file.fileno(), min(CHUNK, end - offset, status.st_size - offset), offset)
            after = os.fstat(file.fileno())
        if (after.st_ino, after.st_size, after.st_mtime_ns) != (status.st_ino, status.st_size, status.st_mtime_ns):
            raise MasterError(f"{path} changed while it was read", "run doit again")

    return chunks
