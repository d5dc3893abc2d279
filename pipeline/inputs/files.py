"""Small files that the guest list names, each read once for all the guests that share it."""

import errno
from functools import cache
from pathlib import Path

from pipeline import input_file

_LARGEST = 1 << 26
"""Bytes, all of which are in memory: what is larger belongs into the master."""

_MOST = 1 << 28
"""Bytes of all of them together."""

_in_all = [0]


@cache
def read(path: Path, inside: Path | None = None) -> bytes:
    """The contents of the file at `path`, as they are when it is first asked for.

    Below the folder `inside` no symlink is followed. Raises OSError for one that cannot be read or is no regular file,
    that is too large, or comes after too many others.
    """
    data = input_file.read(path, _LARGEST, inside=inside)
    _in_all[0] += len(data)
    if _in_all[0] > _MOST:
        reason = f"all files for guests together are larger than {_MOST:,} bytes: put some into the master"
        raise input_file.UnfitFileError(path, reason, errno.EFBIG)
    return data
