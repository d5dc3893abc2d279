"""Publishing: an artifact gets its name only when it is whole and on the disk."""

import errno
import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pipeline.errors import GuestfarmError, ImageError
from pipeline.image.files import private
from pipeline.image.files.private import sync_directory
from pipeline.image.files.sparse import NEXT_TO_NOTHING, allocate, free_space, space
from pipeline.image.files.usage import check_unused
from pipeline.model.sizes import approximate_size

PUBLIC = 0o444
PROGRAM = 0o555
SECRET = 0o400
"""Artifacts are read-only: nobody writes to one by accident. Root disks hold password hashes and private keys."""

_DRAFT = ".draft-"
_NO_MORE_NAMES = (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)
"""What link(2) says where a file system has no hard links, or no more of them for a file."""
_UNWRITTEN = 0
"""The time of a draft that was not written to, in nanoseconds."""

_time: ContextVar[int | None] = ContextVar("time", default=None)


@contextmanager
def dated(time: int) -> Iterator[None]:
    """Give what is published in the block the mtime `time`, in nanoseconds since 1970.

    Whoever writes to it later gives it another. A further name of a file that has one already does not change its time.
    """
    token = _time.set(time)
    try:
        yield
    finally:
        _time.reset(token)


@contextmanager
def publish(
    target: Path, *, mode: int = SECRET, room: int = 0, allocated: bool = False, sync_name: bool = True
) -> Iterator[Path]:
    """A draft beside `target` to be filled by the block, then synced to the disk and renamed to `target` in one step.

    The draft is an empty file that its owner alone can read; `target` has the `mode`, whatever the umask.
    If the block or the disk fails, the draft goes and `target` stays what it was. Raises ImageError if the disk fails,
    if somebody is using `target`, or if another user has put a link on the way to it. `room` is about how many bytes
    the draft will take, to tell how many are missing. With `allocated`, it gets its whole space at its end: e2fsprogs
    (seen: 1.47.2) zero by punching holes, whatever they are told.
    """
    draft = target.with_name(f".{target.name}{_DRAFT}{secrets.token_hex(4)}")
    try:
        check_unused(target)
        private.make_folder(target.parent)
        try:
            private.create(draft)
            os.utime(draft, ns=(_UNWRITTEN, _UNWRITTEN))
            yield draft
            _check_written(draft, target)
            if allocated:
                allocate(draft)
            _sync(draft, mode)
            draft.rename(target)
        except (OSError, GuestfarmError) as error:
            if _is_full(error, target.parent):
                raise _full(target, draft, room) from error
            raise
        finally:
            draft.unlink(missing_ok=True)
        if sync_name:
            sync_directory(target.parent)
    except OSError as error:
        place = target if error.filename is None or str(error.filename) == str(draft) else error.filename
        raise ImageError(f"{place}: {error.strerror or error}") from error


@contextmanager
def replace(image: Path, *, room: int, allocated: bool) -> Iterator[Path]:
    """A draft, made by the block, that takes the place of `image`, with its owner and mode; else as publish()."""
    status = image.stat()
    sweep_for(image)
    with publish(image, mode=stat.S_IMODE(status.st_mode), room=room, allocated=allocated) as draft:
        yield draft
        if (status.st_uid, status.st_gid) != (draft.stat().st_uid, draft.stat().st_gid):
            os.chown(draft, status.st_uid, status.st_gid)


def publish_text(target: Path, text: str, *, mode: int = PUBLIC, sync_name: bool = True) -> None:
    """Publish a file of `text`."""
    with publish(target, mode=mode, room=len(text), sync_name=sync_name) as draft:
        draft.write_text(text, encoding="utf-8")


def publish_new_text(target: Path, text: str, *, mode: int = 0o644) -> None:
    """Publish a file of `text` under a name that nothing has: else raise FileExistsError.

    Raises OSError and ImageError as publish().
    """
    private.make_folder(target.parent)
    draft = target.with_name(f".{target.name}{_DRAFT}{secrets.token_hex(4)}")
    try:
        private.create(draft)
        draft.write_text(text, encoding="utf-8")
        _sync(draft, mode)
        rename_new(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(target.parent)


def publish_link(target: Path, source: Path, *, sync_name: bool = True) -> None:
    """Publish another name for the published `source`, or a copy where the file system gives it no more names."""
    with publish(target, mode=PUBLIC, sync_name=sync_name) as draft:
        draft.unlink()
        try:
            draft.hardlink_to(source)
        except OSError as error:
            if error.errno not in _NO_MORE_NAMES:
                raise
            private.create(draft)
            draft.write_bytes(source.read_bytes())


def rename_new(draft: Path, target: Path) -> None:
    """Give `draft` the name `target`, which nothing has: else raise FileExistsError. The name is yet to be synced."""
    try:
        target.hardlink_to(draft)
    except OSError as error:
        if error.errno not in _NO_MORE_NAMES:
            raise
        if target.exists() or target.is_symlink():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        draft.rename(target)
    else:
        draft.unlink()


def is_draft(name: str) -> bool:
    """Whether a file of this name is a draft, or was made beside one by what fills it."""
    return name.startswith(".") and _DRAFT in name


def sweep(folder: Path) -> None:
    """Remove the drafts that a killed run left in `folder`; nobody may be publishing there meanwhile.

    Raises OSError, and ImageError if another user has made a link of the folder.
    """
    private.check_links(folder)
    for draft in folder.glob(f".*{_DRAFT}*"):
        shutil.rmtree(draft) if draft.is_dir() and not draft.is_symlink() else draft.unlink()


def sweep_for(target: Path) -> None:
    """Remove the drafts that a killed run left for `target`; nobody may be publishing it meanwhile."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}{_DRAFT}*"):
        draft.unlink()


def _check_written(draft: Path, target: Path) -> None:
    status = draft.stat()
    if status.st_size == 0 and status.st_mtime_ns == _UNWRITTEN:
        raise ImageError(f"{target}: nothing was written to it")


def _is_full(error: Exception, folder: Path) -> bool:
    """Whether `error` came of a full disk; programs and libraries do not all say so, and then leave nothing free."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return free_space(folder) < NEXT_TO_NOTHING


def _full(target: Path, draft: Path, room: int) -> ImageError:
    free = free_space(target.parent) + (space(draft) if draft.exists() else 0)
    missing = f"about {approximate_size(room - free)} more is needed, and " if room > free else ""
    return ImageError(f"{target}: the disk is full: {missing}{approximate_size(free)} is free", "make room, then doit")


def _sync(path: Path, mode: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) != mode:  # to give it the mode that it has would be a change to be synced
            os.fchmod(descriptor, mode)
        if status.st_nlink == 1:  # what has another name was synced when it got that one
            date(descriptor)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def date(descriptor: int) -> None:
    """Give an open file the mtime that dated() says, if it has another; best before it is synced. Raises OSError."""
    time = _time.get()
    if time is not None and os.fstat(descriptor).st_mtime_ns != time:
        os.utime(descriptor, ns=(time, time))
