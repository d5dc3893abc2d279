"""Whose project doit runs in: Guestfarm's commands take the place of doit's own in farms only.

doit finds commands by the entry points of all packages that are installed, in whatever project it runs.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline import input_file

_IMPORTS = re.compile(rb"^[ \t]*(?:from|import)[ \t]+pipeline\b", re.MULTILINE)
"""How a dodo.py comes to a farm's tasks."""

_LONGEST = 1 << 20
"""Bytes of a dodo.py; one that has more is left to Guestfarm to complain of."""

_FILE, _FOLDER, _SEEK = ("-f", "--file"), ("-d", "--dir"), ("-k", "--seek-file")
"""doit's options for where the tasks are; see doit help list."""


def is_farm(arguments: Sequence[str]) -> bool:
    """Whether a command with these arguments is for a farm: its dodo.py imports Guestfarm, or there is none at all."""
    folder = Path(_value(arguments, *_FOLDER) or ".")
    name = _value(arguments, *_FILE) or "dodo.py"
    places = [folder / name]
    if any(option in arguments for option in _SEEK):
        places += [above / name for above in folder.absolute().parents]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return True
    try:
        return _IMPORTS.search(input_file.read(found, _LONGEST)) is not None
    except OSError:
        return True


def _value(arguments: Sequence[str], short: str, long: str) -> str | None:
    """The value of an option, written in one of getopt's ways; the last one counts."""
    value = None
    for argument, following in zip(arguments, [*arguments[1:], None], strict=False):
        if argument in (short, long):
            value = following
        elif argument.startswith(f"{long}="):
            value = argument.partition("=")[2]
        elif argument.startswith(short) and not argument.startswith("--"):
            value = argument[len(short) :]
    return value
