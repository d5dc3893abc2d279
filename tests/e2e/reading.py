"""doit runs that tell how much of the list they read."""

import os
from dataclasses import dataclass
from typing import Any

from pipeline import guestlist
from pipeline.model.farm import Farm
from tests import doit_process
from tests.e2e.conftest import Workshop

_MARK = "read, guests: "


@dataclass(frozen=True)
class Reading:
    """What a doit run printed, line by line, and of how many guests it read a list, each time that it did."""

    lines: list[str]
    guests: list[int]


def doit(workshop: Workshop, *arguments: str) -> Reading:
    """Run doit."""
    lines = doit_process.run(arguments, workshop.folder, os.environ, prepare=_tell).output.splitlines()
    return Reading(
        [line for line in lines if not line.startswith(_MARK)],
        [int(line.removeprefix(_MARK)) for line in lines if line.startswith(_MARK)],
    )


def _tell() -> None:
    """Have farm.load say of how many guests it reads a list."""
    load = guestlist.load

    def telling(*arguments: Any, **options: Any) -> Farm:
        loaded = load(*arguments, **options)
        print(_MARK, len(loaded.guests), sep="", flush=True)
        return loaded

    guestlist.load = telling
