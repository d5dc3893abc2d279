"""The lock that a run holds on its build folder: two at once would overwrite each other's work."""

import os
from pathlib import Path

from pipeline.engine.run.user_errors import of_system
from pipeline.errors import GuestfarmError
from pipeline.host.lock import acquire, release
from pipeline.image.files.private import make_folder


class BuildLock:
    """A lock on a build folder, held until it is released or the last process that has it is gone.

    Processes forked by the holder have it too, so that those which outlive a killed run keep the next one waiting.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._owner = 0
        """The number of the process that took the lock."""

    def acquire(self) -> None:
        """Take the lock, if it is not ours already. Raises GuestfarmError, also where that cannot be."""
        if self._descriptor is not None:
            return
        try:
            make_folder(self._path.parent)
            lock = acquire(self._path)
        except OSError as error:
            error.filename = error.filename or self._path
            raise GuestfarmError(of_system(error), "doit build=FOLDER builds elsewhere") from error
        if isinstance(lock, str):
            raise GuestfarmError(f"{self._path.parent}: {lock} is building here already", "wait until it has ended")
        self._descriptor, self._owner = lock, os.getpid()

    def release(self) -> None:
        """Let the next one in. A fork of the process that took the lock only has no more part in it."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if self._owner == os.getpid():
            release(descriptor)
        else:
            os.close(descriptor)
