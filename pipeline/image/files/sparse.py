"""Blank images: files of zeros."""

import os
from pathlib import Path

from pipeline.image.files import private

RECIPE = 1
"""Raise it when the same size gives another image: what was made by an older recipe is stale."""

NEXT_TO_NOTHING = 1 << 16
"""Bytes that a disk may have free and still be full to who writes to it: a few blocks."""


def create(image: Path, size: int) -> None:
    """Make a sparse `image` of `size` bytes, which takes no space until it is written to.

    It is a new file, or an empty draft. Raises OSError.
    """
    descriptor = private.open_empty(image)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def is_allocated(image: Path) -> bool:
    """Whether `image` has as much space on its disk as it has bytes, so that a write to it needs no more."""
    return space(image) >= image.stat().st_size


def allocate(image: Path, size: int = 0) -> None:
    """Give every hole of `image` its space on the disk, and make it at least `size` bytes long, with space, too.

    Interrupted, a longer part is either not there or has its space. Raises OSError when the disk has too little of it.
    """
    now = image.stat().st_size
    start = now if is_allocated(image) else 0  # XFS would want room for all of it once more
    end = max(now, size)
    if start == end:
        return
    descriptor = os.open(image, os.O_WRONLY)
    try:
        os.posix_fallocate(descriptor, start, end - start)
    finally:
        os.close(descriptor)


def space(image: Path) -> int:
    """The bytes that `image` takes on its disk, holes not counted."""
    return image.stat().st_blocks * 512  # the unit of stat(2), whatever the file system's own


def standing(folder: Path) -> Path:
    """`folder`, or as long as it is not there, the one above it that is."""
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


def free_space(folder: Path) -> int:
    """The bytes that are free to us on the disk where `folder` is, or will be."""
    status = os.statvfs(standing(folder))
    return status.f_bavail * status.f_frsize


def extend(image: Path, size: int) -> None:
    """Make `image` at least `size` bytes long, with a hole at its end."""
    if image.stat().st_size < size:
        os.truncate(image, size)
