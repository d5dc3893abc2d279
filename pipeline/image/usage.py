"""Who is using an image: loop devices, locks, and processes that have it open for writing."""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ImageError

_WRITABLE = os.O_WRONLY | os.O_RDWR


def check_unused(image: Path) -> None:
    """Raise ImageError that names the users of `image`, if it has any: it must not be replaced or copied now."""
    found = list(users(image))
    if found:
        raise ImageError(f"{image} is in use by {', '.join(found)}", "end that first")


def users(image: Path) -> Iterator[str]:
    """Everything that is known to use `image`, in words. An ordinary user sees only processes of his own."""
    try:
        status = image.stat()
    except FileNotFoundError:
        return
    yield from _loop_devices(status)
    yield from _locks(image, status)
    yield from _writers(status)


def _loop_devices(image: os.stat_result) -> Iterator[str]:
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            same = os.path.samestat(Path(backing.read_text().rstrip("\n")).stat(), image)
        except OSError:  # detached meanwhile, or its file is deleted
            continue
        if same:
            yield f"the loop device /dev/{backing.parts[3]}"


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
    for fields in map(str.split, Path("/proc/self/mountinfo").read_text().splitlines()):
        if fields[0] == mount:
            major, _, minor = fields[2].partition(":")
            return int(major), int(minor)
    return None


def _writers(image: os.stat_result) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptors = [path for path in (process / "fd").iterdir() if _is(path, image)]
            writes = any(_writes(process / "fdinfo" / path.name) for path in descriptors)
        except OSError:  # it ended, or is somebody else's
            continue
        if writes and int(process.name) != os.getpid():
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
