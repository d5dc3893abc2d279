"""What is opened on a file system, by whichever process, and who could have read it at that moment.

The kernel asks us before each open(2), see fanotify(7), and the process waits for the answer.
"""

import ctypes
import errno
import os
import select
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.machine import need, need_root

# See include/uapi/linux/fanotify.h.
_CLASS_CONTENT, _CLOEXEC = 0x4, 0x1
_ADD, _MOUNT, _OPEN_PERM, _ALLOW = 0x1, 0x10, 0x10000, 0x1
_EVENT = struct.Struct("=IBBHQii")
_ANSWER = struct.Struct("=iI")
_AT_FDCWD = -100


@contextmanager
def watched(mount: Path) -> Iterator[dict[str, int]]:
    """The regular files that are opened below the mount point `mount` in the block, each with its most open mode."""
    need_root()
    libc = ctypes.CDLL(None, use_errno=True)
    group = libc.fanotify_init(_CLASS_CONTENT | _CLOEXEC, os.O_RDONLY | os.O_CLOEXEC)
    need(group >= 0 or ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM, errno.EINVAL), "fanotify with permissions")
    result = libc.fanotify_mark(group, _ADD | _MOUNT, ctypes.c_uint64(_OPEN_PERM), _AT_FDCWD, os.fsencode(mount))
    assert result == 0, os.strerror(ctypes.get_errno())
    seen: dict[str, int] = {}
    ours, theirs = os.pipe()
    thread = Thread(target=_answer, args=(group, ours, seen))
    thread.start()
    try:
        yield seen
    finally:
        os.close(theirs)
        thread.join()
        os.close(ours)


def _answer(group: int, end: int, seen: dict[str, int]) -> None:
    try:
        while group in (ready := select.select([group, end], [], [])[0]) or end not in ready:
            data = os.read(group, 1 << 16)
            for place in range(0, len(data), _EVENT.size):
                _allow(group, _EVENT.unpack_from(data, place)[5], seen)
    finally:
        os.close(group)  # or whoever opens something waits for ever


def _allow(group: int, descriptor: int, seen: dict[str, int]) -> None:
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(" (deleted)")
        seen[path] = seen.get(path, 0) | stat.S_IMODE(status.st_mode)
    os.write(group, _ANSWER.pack(descriptor, _ALLOW))
    os.close(descriptor)
