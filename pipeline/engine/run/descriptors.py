"""File descriptors: the three that every program has must be open, and there must be enough of others."""

import os
import resource
import sys
from typing import TextIO

from pipeline.errors import GuestfarmError

_ENOUGH = 1024
"""As many as Linux gives by default, see getrlimit(2)."""

_LEAST = 32
"""What a run by itself needs at most is 20: its own, those of SQLite and of libext2fs, and pipes of a program."""


def prepare() -> None:
    """Open what is closed of the standard streams, and raise a low limit on descriptors as far as that is allowed.

    A standard stream that is closed would be the next file that is opened, and have messages written into it. To
    Python the standard output stays closed. Raises GuestfarmError where so few descriptors are allowed that nothing
    can be done.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115  # for good
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _ENOUGH:
        return
    allowed = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < _LEAST:
        raise GuestfarmError(f"no more than {allowed} files may be open at a time", "raise the limit: ulimit -n 1024")


def drop(stream: TextIO) -> None:
    """Lose what is yet to be written to `stream`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
