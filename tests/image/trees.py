"""Trees of files of every kind on a real file system, and what is different between two of them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.machine import run

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# struct vfs_cap_data of linux/capability.h: revision 2, effective, and cap_net_raw permitted.
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")

DAY = 24 * 60 * 60 * 10**9
MTIMES = {
    "nanoseconds": 1_700_000_000_123_456_789,
    "before-1970": -5 * 365 * DAY + 999_999_999,
    "first": -(2**31) * 10**9,
    "after-2038": 2**31 * 10**9 + 1,
    "after-2106": 2**32 * 10**9 + 987_654_321,
    "last": (2**34 - 2**31 - 1) * 10**9,
}
NAMES = [
    b"x" * 255,
    b"\xe4\xf6\xfc latin-1",
    "Grüße, 世界".encode(),
    b"new\nline",
    b"'single' \"double\" `back`",
    b"back\\slash",
    b" blank ",
    b"-rf",
    b"*",
    b"tab\tand \x01",
]
RUNS = {  # where sparse files have data; the last has all kinds of indirect blocks on ext2
    "nothing": [],
    "start": [(0, 5000)],
    "middle": [(300 * KIB, 9 * KIB)],
    "end": [(MIB - 4 * KIB, 4 * KIB)],
    "many": [(number * 64 * KIB, 4 * KIB) for number in range(100)],
    "far": [(0, 1), (10 * MIB, 4 * KIB), (5 * GIB, 8 * KIB)],
}


def plant(top: Path) -> None:
    """Everything that a root file system can have, and more than most do."""
    _owners_and_modes(top / "owners")
    _kinds(top / "kinds")
    _sparse(top / "sparse")
    _attributes(top / "attributes")
    _times(top / "times")
    for name in NAMES:
        _file(top / "names" / os.fsdecode(name), name)
    for number in range(5000):
        _file(top / "large" / f"{number:04}-{'n' * (number % 60)}", b"")
    _file(top.joinpath("deep", *(["directory"] * 100), "file"), b"deep")
    top.chmod(0o751)
    os.utime(top, ns=(0, 1_600_000_000_000_000_001))


def _owners_and_modes(top: Path) -> None:
    modes = [0o000, 0o400, 0o644, 0o4755, 0o2755, 0o6711, 0o7777]
    for mode, owner in zip(modes, [0, 1, 65534, 65535, 65536, 100000, 2**32 - 2], strict=True):
        path = _file(top / f"{mode:o}", b"mode")
        os.chown(path, owner, 2**32 - 2 - owner)
        path.chmod(mode)
    (top / "tmp").mkdir()
    (top / "tmp").chmod(0o1777)
    os.chown(top / "tmp", 70000, 70000)


def _kinds(top: Path) -> None:
    _file(top / "empty", b"")
    _file(top / "file", bytes(range(256)) * 100)
    for name in ("second", "third"):
        (top / name).hardlink_to(top / "file")
    (top / "above").mkdir()
    (top / "above/fourth").hardlink_to(top / "file")
    for length in (1, 59, 60, 61, 1000, 4095):  # those with up to 59 bytes are in the inode
        (top / f"symlink{length}").symlink_to("t" * length)
    (top / "symlink-out").symlink_to("../../../etc/passwd")
    os.link(top / "symlink60", top / "symlink-again", follow_symlinks=False)
    os.lchown(top / "symlink1", 100000, 100001)
    for name, major, minor in [("null", 1, 3), ("high", 255, 255), ("wide", 256, 0), ("widest", 4095, 2**20 - 1)]:
        os.mknod(top / f"c-{name}", stat.S_IFCHR | 0o620, os.makedev(major, minor))
        os.mknod(top / f"b-{name}", stat.S_IFBLK | 0o660, os.makedev(major, minor))
    os.mkfifo(top / "fifo", 0o640)


def _sparse(top: Path) -> None:
    for name, runs in RUNS.items():
        path = _file(top / name, b"")
        with path.open("r+b") as file:
            for start, length in runs:
                file.seek(start)
                file.write(b"D" * length)
            file.truncate(6 * GIB if name == "far" else 7 * MIB if name == "many" else MIB)


def _attributes(top: Path) -> None:
    os.setxattr(_file(top / "ping", b"program"), "security.capability", NET_RAW)
    several = _file(top / "several", b"")
    for name, value in {"text": b"words", "bytes": bytes(range(256)), "a=b": b"1", "100%": b"2", "%3D": b"3"}.items():
        os.setxattr(several, f"user.{name}", value)
    os.setxattr(_file(top / "large", b""), "user.large", b"v" * 3000)  # more than an inode has room for
    listed = _file(top / "listed", b"")
    run("setfacl", "-m", "u:1234:rwx,u:100000:r,g:0:x,g:5678:r-x,m:rx", listed)
    folder = top / "folder"
    folder.mkdir()
    run("setfacl", "-m", "u:1234:rwx,d:u:1234:rx,d:g:70000:rwx", folder)


def _times(top: Path) -> None:
    for name, mtime in MTIMES.items():
        os.utime(_file(top / name, b""), ns=(0, mtime))
    (top / "link").symlink_to("nowhere")
    os.utime(top / "link", ns=(0, MTIMES["before-1970"]), follow_symlinks=False)
    os.utime(top, ns=(0, MTIMES["after-2038"]))


def _file(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def differences(expected: Path, found: Path) -> list[str]:
    """What lstat(2), extended attributes, symlinks, contents and holes tell apart, one line each."""
    left, right = (dict(_described(top)) for top in (expected, found))
    return [
        f"{name}: {left.get(name)} != {right.get(name)}"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def _described(top: Path) -> Iterator[tuple[str, object]]:
    first_names: dict[int, str] = {}
    for path in sorted([top, *top.rglob("*")]):
        name = str(path.relative_to(top))
        if name == "lost+found":  # mke2fs makes it
            continue
        status = path.lstat()
        is_directory = stat.S_ISDIR(status.st_mode)
        yield (
            name,
            {
                "mode": f"{status.st_mode:o}",
                "owner": (status.st_uid, status.st_gid),
                "mtime": status.st_mtime_ns,
                "device": status.st_rdev,
                "size": None if is_directory else status.st_size,
                "links": None if name == "." else status.st_nlink,
                "same as": None if is_directory else first_names.setdefault(status.st_ino, name),
                "xattrs": {
                    key: os.getxattr(path, key, follow_symlinks=False)
                    for key in os.listxattr(path, follow_symlinks=False)
                },
                "target": path.readlink() if path.is_symlink() else None,
                "data": list(_data(path, status.st_size)) if stat.S_ISREG(status.st_mode) else None,
            },
        )


def _data(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """What is between the holes of a file, as (offset, bytes)."""
    with path.open("rb") as file:
        end = 0
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # there is none any more
                return
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            yield start, os.pread(file.fileno(), end - start, start)
