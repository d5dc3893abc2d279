"""Drafts of guests' folders in the image store: filled beside their place, and renamed to it in one step when whole."""

import os
import pwd
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from grp import getgrnam
from pathlib import Path

from pipeline.errors import HostError, quoted
from pipeline.image.files import sparse
from pipeline.image.files.clone import clone
from pipeline.image.files.private import sync_directory
from pipeline.image.files.usage import check_unused

DISK = 0o600
"""The permissions of disks, which hold password hashes and private keys."""

_FOLDER = 0o755
"""Those of a guest's folder: what runs a guest need not be root."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom disks belong to, by number."""

    user: int
    group: int

    @classmethod
    def of(cls, path: Path) -> "Owner":
        """The owner of a file. Raises OSError."""
        status = path.stat()
        return cls(status.st_uid, status.st_gid)

    @classmethod
    def parse(cls, text: str) -> "Owner":
        """As chown(1) has it, USER or USER:GROUP, by name or by number; without a group, it is the user's own.

        Raises HostError for one that this host does not know.
        """
        user, colon, group = text.partition(":")
        try:
            known = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
            number = int(group) if group.isdecimal() else getgrnam(group).gr_gid if colon else known.pw_gid
        except KeyError as error:
            raise HostError(f"expected USER or USER:GROUP of this host, found {quoted(text)}") from error
        return cls(known.pw_uid, number)


@contextmanager
def draft(place: Path) -> Iterator[Path]:
    """A new folder beside `place`, for `publish`; if the block fails, it goes again."""
    folder = place.with_name(f".{place.name}.draft-{secrets.token_hex(4)}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(folder: Path, place: Path) -> None:
    """Give the draft `folder` its name, which is free, when all that is in it is on the disk. Raises OSError."""
    for path in folder.iterdir():
        _sync(path)
    folder.chmod(_FOLDER)
    sync_directory(folder)
    folder.rename(place)
    sync_directory(place.parent)


def sweep(place: Path) -> None:
    """Remove the drafts that killed runs left for `place`. Nobody else may be at work on it. Raises OSError."""
    pattern = re.compile(rf"{re.escape(f'.{place.name}.draft-')}[0-9a-f]{{8}}")
    for folder in place.parent.iterdir():
        if pattern.fullmatch(folder.name):
            shutil.rmtree(folder)


def copy_disk(source: Path, target: Path, owner: Owner | None) -> None:
    """Make `target` a clone of the disk `source`, as allocated as that is; `publish` sees to it that it is on the disk.

    Raises OSError, or ImageError if somebody uses `source`.
    """
    check_unused(source)
    clone(source, target, allocate=sparse.is_allocated(source))
    if owner is not None:
        os.chown(target, owner.user, owner.group)


def copy_file(source: Path, target: Path) -> None:
    """Make `target` a clone of `source`, which its owner may write to and everyone may read. Raises OSError."""
    clone(source, target)
    target.chmod(mode(source))


def mode(source: Path) -> int:
    """The permissions that a copy of `source` has in the store. Raises OSError."""
    return (source.stat().st_mode & 0o555) | 0o200


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
