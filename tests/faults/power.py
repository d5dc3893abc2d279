"""A disk whose power can be cut at any moment.

The disk is a file on an XFS with reflinks, and holds the file system that is mounted. A reflink copy of that file, made
in the middle of a run, is what the disk would have after a power failure at that moment: what was not yet written to it
is missing. It takes what was written as kept, whether it was flushed or not: a disk whose cache forgets is not tried.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine import mounted, need_root, run

MIB = 1 << 20

_CLONE_NEWNS = 0x00020000
"""A namespace of mounts, of linux/sched.h."""

MAKERS = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}


class Disk:
    """A disk with a file system of `kind`, kept in `store`; it is mounted at `point` when it is to be used."""

    def __init__(self, store: Path, point: Path, kind: str, size: int = 400 * MIB) -> None:
        self.point = point
        self._kind = kind
        self._image = store / "disk.img"
        with self._image.open("xb") as file:
            file.truncate(size)
        run(*MAKERS[kind], self._image)

    @contextmanager
    def mounted(self, contents: Path | None = None) -> Iterator[Path]:
        """The disk, with what is in `contents` on it if that is given: a copy that cut() has made; used up by this."""
        if contents is not None:
            contents.replace(self._image)
        try:
            with mounted(self._image, self.point, "-o", "loop"):
                yield self.point
        finally:
            self.point.rmdir()

    def cut(self, name: str) -> Path:
        """What the disk would have if the power failed now."""
        copy = self._image.with_name(f"{name}.img")
        run("cp", "--reflink=always", self._image, copy)
        return copy


@contextmanager
def reflinking(folder: Path, size: int = 2048 * MIB) -> Iterator[Path]:
    """An XFS with reflinks in `folder`, for disks; in memory, so that it is fast."""
    memory = folder / "memory"
    memory.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=3g,mode=700", "none", memory)
    try:
        image = memory / "xfs.img"
        with image.open("xb") as file:
            file.truncate(size)
        run("mkfs.xfs", "-q", "-m", "reflink=1", image)
        with mounted(image, folder / "store", "-o", "loop") as store:
            yield store
    finally:
        run("umount", "--lazy", memory)  # the kernel lets go of a loop device's file some time after it was unmounted


@contextmanager
def mounts_of_its_own() -> Iterator[None]:
    """Have what this thread and its programs mount in the block be gone after it, and also when they are killed."""
    need_root()
    libc = ctypes.CDLL(None, use_errno=True)
    folder = Path.cwd()
    namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        assert libc.unshare(_CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        try:
            run("mount", "--make-rprivate", "/")
            yield
        finally:
            assert libc.setns(namespace, _CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
            os.chdir(folder)  # setns(2) goes to the root of the namespace
    finally:
        os.close(namespace)
