"""A folder to work in, which leaves nothing behind: no files, no mounts, no loop devices, however the work ends."""

import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pipeline import process
from pipeline.errors import ProcessError

_MKFS = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"], "ext4": ["mkfs.ext4", "-q"]}


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent`, removed with all that is mounted in it when the block ends, SIGTERM included."""
    signal.signal(signal.SIGTERM, _end)
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=parent)).resolve()
    try:
        yield folder
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave half of it
        _unmount_all(folder)
        shutil.rmtree(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def mounted(kind: str, size: int, folder: Path) -> Iterator[Path]:
    """A new file system of this kind on a loop device in `folder`. Raises ProcessError where that does not work."""
    image, target = folder / f"{kind}.img", folder / kind
    with image.open("xb") as file:
        file.truncate(size)
    target.mkdir()
    try:
        process.run([*_MKFS[kind], image])
        process.run(["mount", "-o", "loop", image, target])
        yield target
    finally:
        _unmount_all(target)
        image.unlink()


def why_not_mounted(folder: Path) -> str | None:
    """Why nothing can be mounted here, or None if it can."""
    try:
        with mounted("ext4", 1 << 20, folder):
            return None
    except ProcessError as error:
        return on_one_line(error)


def on_one_line(error: ProcessError) -> str:
    """What went wrong, where a table stands around it."""
    return " ".join(error.message.split())


def kind_of(folder: Path) -> str:
    """The kind of the file system that `folder` is on, as ext4."""
    return process.run(["findmnt", "-n", "-o", "FSTYPE", "-T", folder]).stdout.strip()


def _unmount_all(folder: Path) -> None:
    """Unmount what is mounted at `folder` and below it; a loop device goes with its mount."""
    for mount in reversed(_mounts(folder)):
        try:
            process.run(["umount", mount])
        except ProcessError as error:
            print(error, file=sys.stderr)
            process.run(["umount", "--lazy", mount])


def _mounts(folder: Path) -> list[Path]:
    """What is mounted at `folder` and below it, in the order of mounting; see proc_pid_mountinfo(5)."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    targets = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4]) for line in lines)
    return [path for path in map(Path, targets) if path.is_relative_to(folder)]


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)
