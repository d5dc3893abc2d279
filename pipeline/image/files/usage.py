"""Who is using an image: loop devices, locks, and processes that have it open."""

import errno
import fcntl
import os
import re
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ImageError

_WRITABLE = os.O_WRONLY | os.O_RDWR
_MOUNTED = ", mounted at "
_PATIENCE = (0.01, 0.1, 0.3, 1.0)
"""Seconds between looks for users that may be gone in a moment."""


def check_unused(image: Path) -> None:
    """Raise ImageError that names the users of `image`, if it has any: it must not be replaced or copied now."""
    found = list(users(image))
    if found:
        raise ImageError(f"{image} is in use by {', '.join(found)}", "end that first")


def check_idle(image: Path) -> None:
    """Raise ImageError unless it is certain that nobody has `image` open, not even to read, and nobody has it locked.

    Descriptors of this process count, too. The kernel is asked, which knows of processes of other users and in other
    containers, by a lease: see F_SETLEASE in fcntl(2). Where a file system has none, it takes root to be certain.
    """
    # A program that another thread starts has for some moments copies of all that we have open, or had.
    alone = threading.active_count() == 1
    for patience in () if alone else _PATIENCE:
        try:
            _check_idle(image)
        except ImageError:
            time.sleep(patience)
        else:
            return
    _check_idle(image)


def _check_idle(image: Path) -> None:
    error = _lease(image)
    if error is None:  # all that `users` knows of has it open, and takes longer to find
        return
    found = list(users(image, readers=True))
    if found:
        raise ImageError(f"{image} is in use by {', '.join(found)}", "end that first")
    if error.errno == errno.EAGAIN:
        raise ImageError(
            f"{image} is in use by somebody who cannot be seen from here",
            f"end that first; as root, this may tell who it is: fuser {shlex.quote(str(image))}",
        ) from error
    if os.geteuid() != 0:
        raise ImageError(f"{image}: whether anybody uses it, only root can tell here", "run it as root") from error


def _lease(image: Path) -> OSError | None:
    """Why the kernel gives no lease on `image`, if it gives none. Raises ImageError if it cannot be opened."""
    try:
        descriptor = os.open(image, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(f"{image}: {error.strerror}") from error
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error
    finally:
        os.close(descriptor)
    return None


def users(image: Path, *, readers: bool = False) -> Iterator[str]:
    """Everything that is known to use `image`, in words. An ordinary user sees only processes of his own.

    A process that can only read it does not count, unless with `readers`.
    """
    try:
        status = image.stat()
    except FileNotFoundError:
        return
    yield from _loop_devices(status)
    yield from _locks(image, status)
    yield from _processes(status, readers)


def lock_holders(path: Path) -> Iterator[str]:
    """Everything that has a lock on the file at `path`, in words, as "FLOCK lock of process 4711 (python3)".

    Raises OSError if there is no file.
    """
    return _locks(path, path.stat())


def check_unmounted(image: Path) -> None:
    """Raise ImageError if a file system on `image` is mounted by way of a loop device."""
    mounted = [device for device in _loop_devices(image.stat()) if _MOUNTED in device]
    if mounted:
        raise ImageError(f"{image} is in use by {', '.join(mounted)}", "end that first")


def in_use() -> set[tuple[int, int]]:
    """Device and inode of every file that a loop device is on, or that a process which we see has open to write."""
    found: set[tuple[int, int]] = set()
    backings = [
        Path(backing.read_text().rstrip("\n")) for backing in Path("/sys/block").glob("loop*/loop/backing_file")
    ]
    paths = [path for path in Path("/proc").glob("[0-9]*/fd/*") if path.parts[2] != str(os.getpid())]
    for path in (*backings, *paths):
        try:
            status = path.stat()
            if path in backings or _writes(path.parents[1] / "fdinfo" / path.name):
                found.add((status.st_dev, status.st_ino))
        except OSError:  # it is closed meanwhile, or not for us to see
            continue
    return found


def _loop_devices(image: os.stat_result) -> Iterator[str]:
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            same = os.path.samestat(Path(backing.read_text().rstrip("\n")).stat(), image)
        except OSError:  # detached meanwhile, or its file is deleted
            continue
        if same:
            device = f"/dev/{backing.parts[3]}"
            points = [unescaped(fields[4]) for fields in _mounts() if device in fields[fields.index("-") :]]
            yield f"the loop device {device}" + "".join(f"{_MOUNTED}{point}" for point in points[:1])


def _locks(image: Path, status: os.stat_result) -> Iterator[str]:
    """What /proc/locks has, see proc_locks(5). QEMU's are open file description locks, which belong to no process."""
    major, minor = _device(image) or (os.major(status.st_dev), os.minor(status.st_dev))
    inode = f"{major:02x}:{minor:02x}:{status.st_ino}"
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "->" not in fields and inode in fields:
            kind, holder = fields[1], fields[4]
            yield f"{kind} lock" + ("" if holder == "-1" else f" of {_process(int(holder))}")


def _device(image: Path) -> tuple[int, int] | None:
    """The device of the mount that `image` is on, if we see that; stat(2) has others for btrfs' subvolumes."""
    descriptor = os.open(image, os.O_PATH)
    try:
        mount = _field(Path(f"/proc/self/fdinfo/{descriptor}"), "mnt_id:")
    finally:
        os.close(descriptor)
    for fields in _mounts():
        if fields[0] == mount:
            major, _, minor = fields[2].partition(":")
            return int(major), int(minor)
    return None


def _mounts() -> Iterator[list[str]]:
    """The fields of each line of /proc/self/mountinfo, see proc_pid_mountinfo(5)."""
    yield from map(str.split, Path("/proc/self/mountinfo").read_text().splitlines())


def unescaped(path: str) -> str:
    """A path as mountinfo has it, where blanks and the like are three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path)


def _processes(image: os.stat_result, readers: bool) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptors = [path for path in (process / "fd").iterdir() if _is(path, image)]
            uses = any(readers or _writes(process / "fdinfo" / path.name) for path in descriptors)
        except OSError:  # it ended, or is somebody else's
            continue
        if uses and int(process.name) != os.getpid():
            yield _process(int(process.name))


def _is(descriptor: Path, image: os.stat_result) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), image)
    except OSError:  # it is closed, or on a file system that is not for us to see
        return False


def _writes(fdinfo: Path) -> bool:
    return bool(int(_field(fdinfo, "flags:"), 8) & _WRITABLE)


def _field(fdinfo: Path, name: str) -> str:
    return next(line.split()[1] for line in fdinfo.read_text().splitlines() if line.startswith(name))


def _process(number: int) -> str:
    try:
        name = Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        name = "unknown"
    return f"process {number} ({name})"
