"""Whether what is about to be built fits on the disk, asked before the first byte is written."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from doit.task import Task

from pipeline.errors import GuestfarmError
from pipeline.image.files.sparse import free_space
from pipeline.model.sizes import approximate_size

META = "space"
"""The name of an artifact's Space in its task's `meta`."""


@dataclass(frozen=True, slots=True)
class Space:
    """The bytes that an artifact takes."""

    built: int | Callable[[], int]
    """When it is built; a callable is asked only for artifacts that are not there."""
    full: int = 0
    """When a guest has written to all of it."""

    @property
    def now(self) -> int:
        """What it takes when it is built."""
        return self.built if isinstance(self.built, int) else self.built()

    @property
    def later(self) -> int:
        """What it takes at most."""
        return max(self.now, self.full)

    def __repr__(self) -> str:
        """What `doit info` says of it."""
        return f"about {approximate_size(self.now)}, at most {approximate_size(self.later)}"


def shortage(tasks: Iterable[Task], folder: Path) -> int:
    """The bytes that are missing on the disk of `folder` for those artifacts of `tasks` that are not there yet."""
    return max(0, sum(space.now for space in _missing(tasks)) - free_space(folder))


def _missing(tasks: Iterable[Task]) -> list[Space]:
    return [
        task.meta[META]
        for task in tasks
        if task.meta and META in task.meta and not all(map(os.path.exists, task.targets))
    ]


def check(tasks: Iterable[Task], folder: Path) -> None:
    """Raise GuestfarmError if those artifacts of `tasks` that are not there yet cannot fit on the disk of `folder`.

    If they fit now, but not when guests fill their sparse disks, say so on stderr.
    """
    missing = _missing(tasks)
    if not missing:
        return
    free = free_space(folder)
    now = sum(space.now for space in missing)
    if now > free:
        raise GuestfarmError(
            f"{folder}: what is to be built takes about {approximate_size(now)}, and {approximate_size(free)} is free",
            f"make room for {approximate_size(now - free)} more, or build elsewhere: doit build=FOLDER",
        )
    full = sum(space.later for space in missing)
    if full > free:
        print(
            f"{folder}: warning: guests may fill their sparse disks up to {approximate_size(full)}, "
            f"and {approximate_size(free)} is free",
            file=sys.stderr,
        )
