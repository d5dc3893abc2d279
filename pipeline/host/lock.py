"""Locks on a folder or a guest: one process at a time changes what is there."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import HostError

FOLDER = ".locks"
"""In the image store: a file for each guest."""


def acquire(path: Path) -> int | str:
    """A descriptor of the file at `path` that has the lock until it is closed; else the number of who has it.

    The file is made if need be, and stays. Forks have the lock, too; programs that are started do not. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode() or "?"
        os.close(descriptor)
        return holder
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


@contextmanager
def locked(store: Path, guest: str) -> Iterator[None]:
    """Have the lock of `guest` in the image store at `store` for the block. Raises HostError when another has it."""
    try:
        (store / FOLDER).mkdir(mode=0o700, exist_ok=True)
        lock = acquire(store / FOLDER / f"{guest}.lock")
    except OSError as error:
        raise HostError(f"{store}: guest '{guest}' cannot be locked: {error.strerror}") from error
    if isinstance(lock, str):
        raise HostError(f"{store}: process {lock} is at work on guest '{guest}'", "wait until it has ended")
    try:
        yield
    finally:
        os.close(lock)
