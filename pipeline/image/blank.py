"""Blank images: files of zeros."""

import errno
import os
from pathlib import Path

from pipeline.errors import ImageError

RECIPE = 1
"""Raise it when the same size gives another image: what was made by an older recipe is stale."""


def create(image: Path, size: int) -> None:
    """Make a new sparse `image` of `size` bytes, which takes no space until it is written to."""
    descriptor = os.open(image, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def allocate(image: Path) -> None:
    """Give every hole of `image` its space on the disk. Raises ImageError when the disk has too little of it."""
    descriptor = os.open(image, os.O_WRONLY)
    try:
        size = os.fstat(descriptor).st_size
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            free = os.fstatvfs(descriptor)
            raise ImageError(
                f"{image.parent}: a disk of {size} bytes does not fit, {free.f_bavail * free.f_frsize} are free"
            ) from error
        raise
    finally:
        os.close(descriptor)


def extend(image: Path, size: int) -> None:
    """Make `image` at least `size` bytes long, with a hole at its end."""
    if image.stat().st_size < size:
        os.truncate(image, size)
