"""The seam to doit: everything that knows how doit works inside."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import doit

from pipeline.doit_glue.artifact import Inputs, Tasks, artifact
from pipeline.doit_glue.checker import Digests, checker
from pipeline.errors import GuestfarmError

USER_ERROR = 2
"""The exit code for an error that the user can mend."""


def variable(name: str, default: str) -> str:
    """The value that the user gave a variable on doit's command line, as in `doit guests=site.yaml`."""
    return str(doit.get_var(name, default))


def path_variable(name: str, default: str) -> Path:
    """A variable that is a path: relative to where the user is if given, to dodo.py if not. Absolute."""
    given = doit.get_var(name, None)
    return Path(default).absolute() if given is None else Path(doit.get_initial_workdir(), given)


def configuration(build: Path) -> dict[str, Any]:
    """The DOIT_CONFIG of a dodo.py whose artifacts are in the folder `build`."""
    database = build / "state.db"
    return {
        "backend": "guestfarm",
        "dep_file": str(database),
        "check_file_uptodate": checker(Digests(database)),
        "verbosity": 2,
    }


@contextmanager
def user_errors() -> Iterator[None]:
    """Show a GuestfarmError of the block as its message alone, and exit with USER_ERROR."""
    try:
        yield
    except GuestfarmError as error:
        print(error, file=sys.stderr)
        raise SystemExit(USER_ERROR) from None


__all__ = ["USER_ERROR", "Inputs", "Tasks", "artifact", "configuration", "path_variable", "user_errors", "variable"]
