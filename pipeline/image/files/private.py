"""What is for its owner alone from its creation on, and folders into which no other user has put a link.

Neither depends on the umask, which may well be 000: so it is in some containers of continuous integration.
"""

import errno
import os
import shlex
import stat
from pathlib import Path
from pwd import getpwuid

from pipeline.errors import ImageError

MODE = 0o600
"""Of a file for its owner alone."""

FOLDER = 0o755
"""Of a folder that others may look into, and change nothing in."""

_ROOT = 0
_MOST_LINKS = 40
"""How many symbolic links Linux follows in one path; see path_resolution(7)."""


def create(file: Path) -> None:
    """Make an empty `file` that its owner alone can read. Raises FileExistsError if there is anything of that name."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE))


def open_empty(file: Path) -> int:
    """A descriptor to read and write `file`: a new one that its owner alone can read, or an empty draft.

    Raises FileExistsError if it holds something, or is no regular file of this user's.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, MODE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a FIFO or a socket
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file)) from error
        raise
    status = os.fstat(descriptor)
    if status.st_size or not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    os.fchmod(descriptor, MODE)
    return descriptor


def open_log(file: Path, *, append: bool = False) -> int:
    """A descriptor to write the log `file`, which its owner alone can read; with `append` it may be there.

    Its folder is made if need be. A symbolic link is not followed. Raises OSError or ImageError.
    """
    make_folder(file.parent)
    if not append:
        file.unlink(missing_ok=True)
    new = os.O_APPEND if append else os.O_EXCL
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | new | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, MODE)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ImageError(f"{file}: not a regular file", f"remove it: rm {shlex.quote(str(file))}")
    if status.st_mode & 0o077:  # of an earlier version
        os.fchmod(descriptor, MODE)
    return descriptor


def make_folder(folder: Path, mode: int = FOLDER) -> None:
    """Make `folder`, and those above it, in which no other user changes anything; their names are on the disk.

    Raises OSError, or as check_links().
    """
    check_links(folder)
    missing = []
    for each in (folder, *folder.parents):
        if each.is_dir():
            break
        missing.append(each)
    for each in reversed(missing):
        try:
            each.mkdir(mode=mode)
        except FileExistsError:
            if not each.is_dir():
                raise
        sync_directory(each.parent)


def check_links(path: Path) -> None:
    """Raise ImageError if a symbolic link on the way to `path`, or `path` itself, was put there by another user.

    Trusted are links of root's, of this user's, and of the owner of the folder that they are in. This is the rule of
    fs.protected_symlinks, see proc_sys_fs(5), for all folders and not only for those with the sticky bit.
    """
    # Not by abspath(), which takes away what is before "..", be it a link.
    _check_links(os.path.join(os.getcwd(), path), _MOST_LINKS)  # noqa: PTH109, PTH118  # Path would cost twice as much


def _check_links(path: str, most: int) -> None:
    folder, place = "/", ""
    for name in filter(None, path.split("/")):
        place += f"/{name}"
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISLNK(status.st_mode):
            if status.st_uid not in (_ROOT, os.geteuid(), os.stat(folder).st_uid):  # noqa: PTH116  # as for check_links
                raise ImageError(
                    f"{place}: a symbolic link that belongs to {_user(status.st_uid)}: not followed",
                    f"remove it: rm {shlex.quote(place)}",
                )
            if most:  # else whoever opens it is told that there are too many
                _check_links(os.path.join(folder, os.readlink(place)), most - 1)  # noqa: PTH115, PTH118  # as above
        folder = place


def check_owner(path: Path) -> None:
    """Raise ImageError if `path`, where there is such, is another user's. Raises OSError, or as check_links(), too.

    Trusted are root, this user, and the owner of the current folder: the dodo.py that runs is in it.
    """
    check_links(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if status.st_uid not in (_ROOT, os.geteuid(), os.stat(".").st_uid):  # noqa: PTH116  # as for check_links
        raise ImageError(
            f"{path} belongs to {_user(status.st_uid)}, who could change what is in it",
            f"if it is to be yours: chown -R {os.geteuid()} {shlex.quote(str(path))}",
        )


def _user(number: int) -> str:
    try:
        return f"user '{getpwuid(number).pw_name}'"
    except KeyError:
        return f"user {number}"


def sync_directory(path: Path) -> None:
    """Wait until the names in the directory `path` are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
