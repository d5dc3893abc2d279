"""Folders of this machine whose files go into guests: the trees of roles, each read once for all of its guests."""

import os
import stat
from functools import cache
from pathlib import Path, PurePosixPath

from pipeline.errors import GuestfarmError
from pipeline.inputs.files import read
from pipeline.model.file import TreeItem


@cache
def walk(folder: Path) -> tuple[TreeItem, ...]:
    """What is in `folder`, parents before children, in the order of their names.

    Symlinks are what they are, and not followed. Modes are as git keeps them, 0644 or 0755, so that the same tree is
    the same for everybody; but what others may not read here, they may not read there. Raises OSError, and
    GuestfarmError for what cannot be in a tree.
    """
    if not folder.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(folder))
    return tuple(_items(folder, PurePosixPath()))


def _items(folder: Path, place: PurePosixPath) -> list[TreeItem]:
    found = []
    with os.scandir(folder / place) as scanned:
        listed = sorted(scanned, key=lambda entry: entry.name)
    for entry in listed:
        path = place / entry.name
        status = entry.stat(follow_symlinks=False)
        private = not status.st_mode & 0o077
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(entry.path)  # noqa: PTH115  # a Path would lose "./" and "//"
            _check_target(folder, path, target)
            found.append(TreeItem(path=str(path), mode=0o777, target=target))
        elif stat.S_ISDIR(status.st_mode):
            found.append(TreeItem(path=str(path), mode=0o700 if private else 0o755))
            found += _items(folder, path)
        elif stat.S_ISREG(status.st_mode):
            mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
            data = read(Path(entry.path), folder)
            found.append(TreeItem(path=str(path), mode=mode & 0o700 if private else mode, data=data))
        else:
            raise GuestfarmError(f"{entry.path} is no file, folder or symlink", "remove it")
    return found


def _check_target(folder: Path, path: PurePosixPath, target: str) -> None:
    """A relative symlink that climbs out of the tree leads elsewhere in a guest than it does here."""
    depth = len(path.parts) - 1
    for part in () if target.startswith("/") else PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            raise GuestfarmError(f"{folder / path} leads out of the tree, to {target}", "make it absolute")
