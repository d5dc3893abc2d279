"""Small files that the guest list names, each read once for all the guests that share it."""

import errno
import os
from functools import cache
from pathlib import Path

_LARGEST = 1 << 26
"""Bytes, all of which are in memory: what is larger belongs into the master."""


@cache
def read(path: Path) -> bytes:
    """The contents of the file at `path`, as they are when it is first asked for. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data
