"""The lock that a run holds on its build folder: two at once would overwrite each other's work."""

import os
from pathlib import Path

from pipeline.engine.run.user_errors import of_system
from pipeline.errors import GuestfarmError
from pipeline.host.lock import acquire


class BuildLock:
    """A lock on a build folder, held until it is released or the last process that has it is gone.

    Processes forked by the holder have it too, so that those which outlive a killed run keep the next one waiting.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, if it is not ours already. Raises GuestfarmError, also where that cannot be."""
        if self._descriptor is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = acquire(self._path)
        except OSError as error:
            error.filename = error.filename or self._path
            raise GuestfarmError(of_system(error), "doit build=FOLDER builds elsewhere") from error
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
