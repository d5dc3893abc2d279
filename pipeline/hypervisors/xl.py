"""xl(1), the toolstack of Xen."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import process
from pipeline.errors import HostError, ProcessError, quoted

program = "xl"
suffix = "cfg"
needs: Sequence[str] = ()

_HEADER = ["Name", "ID", "Mem", "VCPUs", "State", "Time(s)"]
_ROW = re.compile(r"(?P<name>\S.*?)\s+\d+\s+\d+\s+\d+\s+(?P<state>[r-][b-][p-][s-][c-][d-])\s+[0-9.]+")
_STATES = {"d": "dying", "c": "crashed", "s": "shut down, but still there", "p": "paused"}
"""What the letters of `xl list` mean besides running: see xl(1). One without any waits for its turn to run."""

# In libxl's internal.h and xl_migrate.c: a domain on its way from one host to another has another name meanwhile.
_ON_THE_WAY = ("--incoming", "--migratedaway")

_NO_XEN = ("Can't find hypervisor information in sysfs", "privileged command interface: No such file or directory")
"""What Debian's wrapper of xl says, and libxl itself, when no Xen is below this kernel."""


def active() -> Mapping[str, str]:
    """Every domain that Xen has, whatever its state: as long as it is there it may have its disks."""
    try:
        listed = process.run([program, "list"]).stdout
    except ProcessError as error:
        if any(sign in error.message for sign in _NO_XEN) and not _is_below(Path("/sys/hypervisor/type")):
            return {}
        raise
    return parse(listed)


def parse(listed: str) -> Mapping[str, str]:
    """What the table that `xl list` prints says. Raises HostError if it is none."""
    header, *lines = listed.splitlines() or [""]
    rows = [_ROW.fullmatch(line.strip()) for line in lines]
    if header.split() != _HEADER or not all(rows):
        raise HostError(f"xl list printed something unknown: {quoted(listed)}")
    found = {}
    for row in filter(None, rows):
        state = next((word for letter, word in _STATES.items() if letter in row["state"]), "running")
        for name in {row["name"], *map(row["name"].removesuffix, _ON_THE_WAY)}:
            found[name] = state
    return found


def create(name: str, config: Path, *, paused: bool) -> Sequence[Sequence[str | Path]]:
    """The command that starts the domain of `config`."""
    return [[program, "create", *(["-p"] if paused else []), config]]


def unpause(name: str) -> Sequence[str | Path]:
    """The command that lets a paused domain run."""
    return [program, "unpause", name]


def shutdown(name: str) -> Sequence[str | Path]:
    """The command that asks a guest to shut down: as Xen asks, else by the power button that HVM guests have."""
    return [program, "shutdown", "-F", name]


def destroy(name: str) -> Sequence[str | Path]:
    """The command that ends a domain at once."""
    return [program, "destroy", name]


def console(name: str) -> Sequence[str | Path]:
    """The command that attaches to the console of a guest."""
    return [program, "console", name]


def _is_below(kind: Path) -> bool:
    return kind.exists() and kind.read_text().strip() == "xen"
