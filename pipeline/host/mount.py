"""Disks of guests that are down, mounted on this host by loop devices."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import process
from pipeline.errors import HostError, ProcessError
from pipeline.image import ext
from pipeline.image.files.usage import unescaped
from pipeline.image.resize import undo

_SAFE = "loop,nosuid,nodev,noexec"
"""What a guest has made must not become a program, a privilege or a device of the host; see mount(8)."""

_LOOP = re.compile(r"/dev/(loop\d+)")


@dataclass(frozen=True, slots=True)
class Mount:
    """An image that is mounted somewhere."""

    image: Path
    point: Path


def check_root() -> None:
    """Raise HostError unless we can mount."""
    if os.geteuid() != 0:
        raise HostError("only root can mount and unmount disks", "doit files, doit cat and doit get need no mount")


def mount(image: Path, point: Path, *, write: bool) -> str:
    """Mount the file system in `image`, which nobody uses, at the folder `point`; read-only unless `write`.

    What is to be known of it is returned. Raises HostError, ImageError and ProcessError.
    """
    if not point.is_dir():
        raise HostError(f"{point} is no folder", "make it first")
    if undo.is_unfinished(image):
        resume = f"doit resize {shlex.quote(image.parent.name)} --yes"
        raise HostError(f"{image}: a resize of it was interrupted", f"finish that first: {resume}")
    with ext.glance(image) as filesystem:
        kind, unreplayed = filesystem.kind, filesystem.has_journal and not filesystem.is_clean
    options = f"{_SAFE},rw" if write else f"{_SAFE},ro"
    # Else the kernel would replay the journal first, for which it has to write, even if told to mount read-only.
    options += ",noload" if unreplayed and not write else ""
    process.run(["mount", "-t", kind, "-o", options, image, point])
    if not unreplayed:
        return ""
    if write:
        return "it was not cleanly unmounted: its journal is replayed now"
    return "it was not cleanly unmounted: what only its journal has, the newest, is not seen; --rw replays it"


def unmount(point: Path) -> None:
    """Unmount what is mounted at `point`; its loop device goes with it. Raises HostError."""
    try:
        process.run(["umount", point])
    except ProcessError as error:
        raise HostError(error.message, f"this tells who is there: fuser -vm {shlex.quote(str(point))}") from error


def mounts() -> Iterator[Mount]:
    """All images that are mounted by loop devices, in the order of mounting; see proc_pid_mountinfo(5)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        device = _LOOP.fullmatch(fields[fields.index("-") + 2])
        if device:
            backing = Path("/sys/block", device[1], "loop/backing_file")
            if backing.exists():
                yield Mount(Path(backing.read_text().removesuffix("\n")), Path(unescaped(fields[4])))
