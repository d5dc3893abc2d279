"""How errors that the user can mend are shown: as their message alone, and by their own exit code; and warnings."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pipeline.errors import GuestfarmError, Problem

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


def show_warnings(problems: Iterable[Problem]) -> None:
    """Show what may be a mistake of the user's, a line each, on the standard error."""
    for problem in problems:
        print(replace(problem, message=f"warning: {problem.message}"), file=sys.stderr)
