"""doit runs that tell how much of the list they read."""

import subprocess
import sys
from dataclasses import dataclass

from tests.e2e.conftest import Workshop

_MARK = "read, guests: "

# Runs doit, which says of how many guests it reads a list.
_WITNESS = f"""
import sys
from doit.doit_cmd import DoitMain
from pipeline import guestlist
load = guestlist.load
def telling(*arguments, **options):
    loaded = load(*arguments, **options)
    print({_MARK!r}, len(loaded.guests), sep="", flush=True)
    return loaded
guestlist.load = telling
sys.exit(DoitMain().run(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Reading:
    """What a doit run printed, line by line, and of how many guests it read a list, each time that it did."""

    lines: list[str]
    guests: list[int]


def doit(workshop: Workshop, *arguments: str) -> Reading:
    """Run doit."""
    completed = subprocess.run(
        [sys.executable, "-c", _WITNESS, *arguments],
        cwd=workshop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = completed.stdout.splitlines()
    return Reading(
        [line for line in lines if not line.startswith(_MARK)],
        [int(line.removeprefix(_MARK)) for line in lines if line.startswith(_MARK)],
    )
