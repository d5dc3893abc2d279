"""The ways in which a guest boots, and the disk that each takes, made of a throw-away root disk."""

from enum import StrEnum
from pathlib import Path

from pipeline import hypervisors
from pipeline.hypervisors import vmdk
from pipeline.hypervisors.vmdk import Extent
from pipeline.image.boot import header, whole
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Firmware
from pipeline.qemu.machine import Drive


class Via(StrEnum):
    """How a guest boots."""

    KERNEL = "kernel"
    """QEMU loads the kernel, as hypervisors do that boot it directly."""
    DISK = "disk"
    """By its firmware, from one raw file: a header with GRUB, and the root file system behind it."""
    VMDK = "vmdk"
    """The same, from a VMDK descriptor that joins the two files."""


def bootable(guest: Guest, root: Path, via: Via) -> tuple[str, Drive]:
    """Where e2fsck finds the root file system afterwards, and the drive that the guest boots from, or has as its first.

    `root` is its throw-away root disk; what else that takes is made beside it. Raises ImageError, as where GRUB is
    missing, ProcessError or OSError.
    """
    if via is Via.KERNEL:
        return str(root), Drive(number=0, image=root)
    uefi = guest.firmware is Firmware.UEFI
    settings = header.Settings(root_uuid=guest.root_uuid, arguments=hypervisors.arguments(guest), uefi=uefi)
    if via is Via.DISK:
        disk = root.with_name("whole.img")
        whole.write(root, disk, settings)
        root.unlink()
        return f"{disk}?offset={header.size(uefi=uefi)}", Drive(number=0, image=disk)
    front = root.with_name("header.img")
    header.write(front, settings, root_size=root.stat().st_size)
    descriptor = root.with_name("root.vmdk")
    extents = [Extent(Path(file.name), file.stat().st_size) for file in (front, root)]
    descriptor.write_text(vmdk.descriptor(extents))
    return str(root), Drive(number=0, image=descriptor, format="vmdk")
