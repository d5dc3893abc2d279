"""How errors that the user can mend are shown: as their message alone, and by their own exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import GuestfarmError

USER_ERROR = 2
"""The exit code for an error that the user can mend."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Show a GuestfarmError of the block as its message alone, and exit with USER_ERROR."""
    try:
        yield
    except GuestfarmError as error:
        print(error, file=sys.stderr)
        raise SystemExit(USER_ERROR) from None
