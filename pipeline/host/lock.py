"""Locks on a folder or a guest: one process at a time changes what is there."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import HostError
from pipeline.image.files.usage import lock_holders

FOLDER = ".locks"
"""In the image store: a file for each guest."""


def acquire(path: Path) -> int | str:
    """A descriptor of the file at `path` that has the lock until release(); else who has it, as "process 4711".

    The file is made if need be, and stays. Forks have the lock, too; programs that are started do not. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        return holder
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # a full disk is no reason not to make room there
            release(descriptor)
            raise
    return descriptor


def release(lock: int) -> None:
    """Give back a lock of acquire(); a fork of the process that has it must not. Raises OSError.

    To close the descriptor is not enough: a program that another thread starts has a copy of it, and with that the
    lock, until it has become that program.
    """
    try:
        os.ftruncate(lock, 0)
        fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


def _holder(lock: int) -> str:
    number = os.pread(lock, 20, 0).decode(errors="replace")
    return f"process {number}" if number.isdecimal() else "another process"


@contextmanager
def locked(store: Path, guest: str) -> Iterator[None]:
    """Have the lock of `guest` in the image store at `store` for the block. Raises HostError when another has it."""
    try:
        (store / FOLDER).mkdir(mode=0o700, exist_ok=True)
        lock = acquire(store / FOLDER / f"{guest}.lock")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else error.strerror
        raise HostError(f"{store}: guest '{guest}' cannot be locked: {reason}") from error
    if isinstance(lock, str):
        raise _at_work(store, guest, lock)
    try:
        yield
    finally:
        release(lock)


def check_unlocked(store: Path, guest: str) -> None:
    """Raise HostError when a process has the lock of `guest` now. Nothing is locked or made for that."""
    path = store / FOLDER / f"{guest}.lock"
    try:
        if not any(lock_holders(path)):
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return
        raise HostError(f"{store}: guest '{guest}' cannot be locked: {error.strerror}") from error
    try:
        raise _at_work(store, guest, _holder(descriptor))
    finally:
        os.close(descriptor)


def _at_work(store: Path, guest: str, holder: str) -> HostError:
    return HostError(f"{store}: {holder} is at work on guest '{guest}'", "wait until it has ended")
