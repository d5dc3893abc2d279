"""The lock that a run holds on its build folder: two at once would overwrite each other's work."""

import fcntl
import os
from pathlib import Path

from pipeline.errors import GuestfarmError


class BuildLock:
    """A lock on a build folder, held until it is released or the last process that has it is gone.

    Processes forked by the holder have it too, so that those which outlive a killed run keep the next one waiting.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, if it is not ours already. Raises GuestfarmError that names the process which has it."""
        if self._descriptor is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode() or "?"
            os.close(descriptor)
            raise GuestfarmError(
                f"{self._path.parent}: process {holder} is building here already", "wait until it has ended"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
