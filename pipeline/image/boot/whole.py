"""Whole disks: a header and a root file system in one raw file, for what wants a disk to be that."""

from pathlib import Path

from pipeline.image.boot import header
from pipeline.image.boot.header import Settings
from pipeline.image.files.clone import append
from pipeline.image.files.publish import publish

RECIPE = 1
"""Raise it when the same header and root file system give another disk."""


def build(root: Path, target: Path, settings: Settings, *, allocate: bool = False) -> None:
    """Make the disk `target` that boots the root file system in `root`, with which it shares its blocks if it can.

    With `allocate` it has all of its space from the start, and shares none. Raises ImageError, also where GRUB is not
    installed, or ProcessError.
    """
    with publish(target, room=root.stat().st_size if allocate else 0, allocated=allocate) as draft:
        write(root, draft, settings, allocate=allocate, shown=target)


def write(root: Path, disk: Path, settings: Settings, *, allocate: bool = False, shown: Path | None = None) -> None:
    """Make the disk `disk`, which is no artifact; errors name `shown`. Raises OSError, else as build()."""
    header.write(disk, settings, root_size=root.stat().st_size, shown=shown)
    append(root, disk, allocate=allocate)
