"""The ways in which a guest boots, and the disk that each takes, made of a throw-away root disk."""

import os
from enum import StrEnum
from pathlib import Path

from pipeline import hypervisor
from pipeline.farm.model import Guest
from pipeline.hypervisor import vmdk
from pipeline.hypervisor.vmdk import Extent
from pipeline.image import header
from pipeline.image.clone import data_runs
from pipeline.proof.machine import Drive

_CHUNK = 1 << 22


class Via(StrEnum):
    """How a guest boots."""

    KERNEL = "kernel"
    """QEMU loads the kernel, as hypervisors do that boot it directly."""
    DISK = "disk"
    """By the BIOS, from one raw file: a header with GRUB, and the root file system behind it."""
    VMDK = "vmdk"
    """The same, from a VMDK descriptor that joins the two files."""


def bootable(guest: Guest, root: Path, via: Via) -> tuple[str, Drive]:
    """Where e2fsck finds the root file system afterwards, and the drive that the guest boots from, or has as its first.

    `root` is its throw-away root disk; what else that takes is made beside it. Raises ImageError, as where GRUB is
    missing, ProcessError or OSError.
    """
    if via is Via.KERNEL:
        return str(root), Drive(number=0, image=root)
    front = root.with_name("header.img")
    settings = header.Settings(root_uuid=guest.root_uuid, arguments=hypervisor.arguments(guest))
    header.build(front, settings, root_size=root.stat().st_size)
    front.chmod(0o600)
    if via is Via.DISK:
        whole = root.with_name("whole.img")
        _join(front, root, whole)
        root.unlink()
        return f"{whole}?offset={front.stat().st_size}", Drive(number=0, image=whole)
    descriptor = root.with_name("root.vmdk")
    extents = [Extent(Path(file.name), file.stat().st_size) for file in (front, root)]
    descriptor.write_text(vmdk.descriptor(extents))
    return str(root), Drive(number=0, image=descriptor, format="vmdk")


def _join(front: Path, root: Path, whole: Path) -> None:
    """Make `whole` of both, with the holes of `root`."""
    before = front.read_bytes()
    with root.open("rb") as source, whole.open("xb") as target:
        target.write(before)
        size = os.fstat(source.fileno()).st_size
        target.truncate(len(before) + size)
        for start, end in data_runs(source.fileno(), size):
            source.seek(start)
            target.seek(len(before) + start)
            for position in range(start, end, _CHUNK):
                target.write(source.read(min(_CHUNK, end - position)))
