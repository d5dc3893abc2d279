"""The lock that a run holds on its build folder: two at once would overwrite each other's work."""

import os
from pathlib import Path

from pipeline.errors import GuestfarmError
from pipeline.host.lock import acquire
from pipeline.image.private import make_folder


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
        make_folder(self._path.parent)
        lock = acquire(self._path)
        if isinstance(lock, str):
            raise GuestfarmError(
                f"{self._path.parent}: process {lock} is building here already", "wait until it has ended"
            )
        self._descriptor = lock

    def release(self) -> None:
        """Let the next one in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
