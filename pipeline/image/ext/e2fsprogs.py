"""The e2fsprogs: mke2fs, e2fsck, resize2fs and tune2fs on image files.

What builds an image gives the same result on every host and at any time. What works on a deployed disk, `repair` and
those after it, writes the time as it is: guests compare it with theirs.
"""

import errno
import os
import re
import shlex
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from uuid import UUID

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.layer.entries import EPOCH

RECIPE = 1
"""Raise it when the same settings give another file system: what was made by an older recipe is stale."""

_ENVIRONMENT = {
    "SOURCE_DATE_EPOCH": str(EPOCH),  # from e2fsprogs 1.47.1 on
    "E2FSPROGS_FAKE_TIME": str(EPOCH),  # before, and debugfs(8)
    "E2FSCK_TIME": str(EPOCH),  # the time of the last check
    "E2FSCK_CONFIG": "/dev/null",  # not the host's e2fsck.conf(5)
}


def format(image: Path, filesystem: str, uuid: UUID, *, label: str | None = None, allocated: bool = False) -> None:
    """Make an empty ext2, ext3 or ext4 `filesystem` that fills `image`, with `uuid` as UUID and as hash seed.

    With `allocated`, no space that the image has is given back. Raises ProcessError.
    """
    # The journal is lazy in writing zeros only: they are there already, and clones need not copy them.
    extended = [f"hash_seed={uuid}", "root_owner=0:0", "lazy_journal_init=1"]
    # Without `nodiscard`, mke2fs punches holes into an allocated image; and what it cannot discard it must zero.
    extended += ["nodiscard", "lazy_itable_init=0"] if allocated else []
    named = [] if label is None else ["-L", label]
    with resources.as_file(resources.files("pipeline.image.ext") / "mke2fs.conf") as configuration:
        process.run(
            ["mke2fs", "-q", "-F", "-t", filesystem, "-U", str(uuid), *named, "-E", ",".join(extended), image],
            environment={**_ENVIRONMENT, "MKE2FS_CONFIG": str(configuration)},
        )


def index(image: Path) -> None:
    """Make the directories of `image` compact and, where they are large, indexed. Raises ProcessError.

    A file system that is not in order is an error, and so is a disk that fails: with -y, e2fsck would ignore both.
    """
    process.run(["e2fsck", "-f", "-p", "-D", image], environment=_ENVIRONMENT)


def check(image: Path) -> None:
    """Check all of the file system in `image` without changing it. Raises ImageError if anything is wrong with it."""
    completed = process.run(["e2fsck", "-f", "-n", image], codes=range(16), environment=_ENVIRONMENT)
    if completed.code & _NOT_DONE:
        raise _not_checked(image, completed)
    if completed.code != 0:
        raise _error(
            f"{image}: the file system has errors:",
            _found(completed)[:10],
            f"repair it with: e2fsck -f {shlex.quote(str(image))}",
        )


def grow(image: Path) -> None:
    """Make the clean file system in `image` fill it. Raises ProcessError, also where it would have to shrink."""
    process.run(["resize2fs", image], environment=_ENVIRONMENT)


def change_uuid(image: Path, uuid: UUID) -> None:
    """Give the file system in `image` another UUID, with every checksum that depends on it. Raises ProcessError."""
    process.run(["tune2fs", "-U", str(uuid), image], environment=_ENVIRONMENT)


def keep_checksum_seed(image: Path) -> None:
    """Have all checksums of the file system in `image` stay what they are when its UUID changes. Raises ProcessError.

    That is the feature metadata_csum_seed, which Linux knows since 4.4.
    """
    process.run(["tune2fs", "-O", "metadata_csum_seed", image], environment=_ENVIRONMENT)


_LIVE = {"E2FSCK_CONFIG": "/dev/null"}
_CORRECTED = (0, 1)
"""Of e2fsck(8). 2 asks for a reboot, as it only does for a mounted root file system: that would be the host's own."""

_NOT_DONE = 0xF8
"""Exit codes of e2fsck(8) that tell nothing of the file system: an operational error, wrong usage, or cancelled."""

_OBSOLETE = re.compile(
    "(resize2fs|e2fsck) [0-9.]+ |Please run 'e2fsck -fy|after the aborted resize"
    "|Overwriting existing filesystem; this can be undone|    e2undo "
)
"""What the programs say of themselves, and their advice that does not hold where what they did is undone."""


def repair(image: Path, undo: Path | None = None, when: int | None = None) -> None:
    """Replay the journal of the file system in `image`, check all of it, and mend what is safe to mend without asking.

    What is overwritten for that is saved in the file `undo`: killed at its work, e2fsck leaves a file system that it
    does not mend by itself any more. `when` is the time of the check, in seconds since 1970. Raises ImageError if it is
    not in order then; with `undo`, `roll_back` is needed after that.
    """
    saving: list[str | Path] = ["-z", undo] if undo else []
    environment = _LIVE if when is None else {**_LIVE, "E2FSCK_TIME": str(when)}
    completed = process.run(["e2fsck", "-f", "-p", *saving, image], codes=range(64), environment=environment)
    if completed.code not in _CORRECTED:
        if completed.code & _NOT_DONE or _DISK_FAILS in completed.stdout + completed.stderr:
            raise _not_checked(image, completed)
        raise _error(
            f"{image}: e2fsck cannot mend the file system without asking (exit code {completed.code}):",
            _said(completed)[-10:],
            f"look after it with: e2fsck -f {shlex.quote(str(image))}",
        )


def inspect(image: Path) -> None:
    """Check all of the file system in `image` without changing it. Raises ImageError if anything is wrong with it.

    Unlike with check(), the times in it are compared with the time as it is.
    """
    completed = process.run(["e2fsck", "-f", "-n", image], codes=range(64), environment=_LIVE)
    if completed.code & _NOT_DONE:
        raise _not_checked(image, completed)
    lines = _found(completed)
    # It was seen to leave something as it was, and to return 0 (1.47.0).
    if completed.code != 0 or any(line.endswith("? no") for line in lines):
        raise _error(f"{image}: the file system has errors:", lines[:10])


def resize(image: Path, size: int, undo: Path | None) -> None:
    """Make the file system in `image` fill `size` bytes, and save in the file `undo` what is overwritten for that.

    Raises ImageError, also where it does not fit; then `roll_back` is needed, since it may be damaged.
    """
    # Never with -f, which skips its checks: it returned 0 on a file system with an unreplayed journal.
    saving: list[str | Path] = ["-z", undo] if undo else []
    completed = process.run(["resize2fs", *saving, image, f"{size // 512}s"], codes=range(64), environment=_LIVE)
    if completed.code != 0:
        raise _error(f"{image}: resize2fs cannot make the file system fill {size} bytes:", _said(completed)[-10:])


def roll_back(image: Path, undo: Path) -> None:
    """Put back into `image` what is in the file `undo`. Raises ProcessError."""
    # With -f, since it could not make sure that both belong together if the run was killed at the wrong moment.
    process.run(["e2undo", "-f", undo, image], environment=_LIVE)


def smallest(image: Path) -> int:
    """The blocks that resize2fs estimates as the least for the clean file system in `image`. Raises ProcessError."""
    printed = process.run(["resize2fs", "-P", image], environment=_LIVE).stdout
    match = re.search(r"minimum size of the filesystem: ([0-9]+)", printed)
    if match is None:
        raise ImageError(f"{image}: resize2fs -P does not say what the least size is: {printed.strip()}")
    return int(match[1])


_DISK_FAILS = os.strerror(errno.EIO)


def _not_checked(image: Path, completed: process.Completed) -> ImageError:
    """What to raise when e2fsck could not do its work: it advises to run it by hand also when the disk fails."""
    said = [line for line in _said(completed) if "RUN fsck MANUALLY" not in line and "without -a or -p" not in line]
    what = f"{image}: e2fsck cannot check the file system"
    if any(_DISK_FAILS in line for line in said):
        return _error(f"{what}: {_DISK_FAILS}", said[-10:])
    hint = f"look after it with: e2fsck -f {shlex.quote(str(image))}"
    return _error(f"{what} (exit code {completed.code}):", said[-10:], hint)


def _found(completed: process.Completed) -> list[str]:
    """What e2fsck -n has found."""
    return [line for line in completed.stdout.splitlines() if line and not line.startswith("Pass ")]


def _said(completed: process.Completed) -> list[str]:
    """What a program printed on both outputs, but for what tells the user nothing."""
    lines = (completed.stdout + completed.stderr).splitlines()
    return [line for line in lines if line.strip() and not _OBSOLETE.match(line) and not line.startswith("Pass ")]


def _error(what: str, said: Iterable[str], hint: str = "") -> ImageError:
    return ImageError("\n  ".join([what, *(line for line in said if line.strip())]), hint)


def version() -> str:
    """The version of the e2fsprogs, as "mke2fs 1.47.0 (5-Feb-2023)"."""
    return process.version("mke2fs", "-V")
