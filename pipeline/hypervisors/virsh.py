"""virsh(1), the toolstack of libvirt."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import process
from pipeline.errors import HostError, ProcessError, quoted

program = "virsh"
suffix = "xml"

_HEADER = ["Id", "Name", "State"]
_ROW = re.compile(r"(?:-|\d+)\s+(?P<name>\S+)\s+(?P<state>\S.*)")
_DOWN = "shut off"
"""The one state of virsh(1) in which nothing of a domain is left running; `crashed` may be one that is kept."""

_OURS = "LIBVIRT_DEFAULT_URI"
_SYSTEM = "qemu:///system"
needs: Sequence[str] = (_OURS, "LIBVIRT_AUTH_FILE", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")

_NO_SOCKET = re.compile(r"Failed to connect socket to '[^']+': No such file or directory")


def active() -> Mapping[str, str]:
    """Every domain of libvirt's that is not shut off.

    Where there is not even the socket of a daemon, libvirt runs nothing. A guest that a daemon has left running still
    has its disks open.
    """
    try:
        listed = process.run([*_virsh(), "list", "--all"], environment=process.inherited(*needs)).stdout
    except ProcessError as error:
        if _NO_SOCKET.search(error.message):
            return {}
        raise
    return parse(listed)


def parse(listed: str) -> Mapping[str, str]:
    """What the table that `virsh list --all` prints says. Raises HostError if it is none."""
    header, *lines = [line.strip() for line in listed.splitlines() if line.strip()] or [""]
    rows = [_ROW.fullmatch(line) for line in lines if line.strip("-")]
    if header.split() != _HEADER or not all(rows):
        raise HostError(f"virsh list printed something unknown: {quoted(listed)}")
    return {row["name"]: row["state"] for row in filter(None, rows) if row["state"] != _DOWN}


def create(name: str, config: Path, *, paused: bool) -> Sequence[Sequence[str | Path]]:
    """The commands that have libvirt know the domain as `config` says, and start it."""
    return [[*_virsh(), "define", config], [*_virsh(), "start", name, *(["--paused"] if paused else [])]]


def unpause(name: str) -> Sequence[str | Path]:
    """The command that lets a paused domain run."""
    return [*_virsh(), "resume", name]


def shutdown(name: str) -> Sequence[str | Path]:
    """The command that asks a guest to shut down."""
    return [*_virsh(), "shutdown", name]


def destroy(name: str) -> Sequence[str | Path]:
    """The command that ends a domain at once."""
    return [*_virsh(), "destroy", name]


def console(name: str) -> Sequence[str | Path]:
    """The command that attaches to the console of a guest."""
    return [*_virsh(), "console", name]


def _virsh() -> list[str]:
    return [program, "--connect", os.environ.get(_OURS, _SYSTEM)]
