"""Headers: what makes a bare root file system boot by a BIOS or UEFI, which want a partitioned disk with a boot loader.

A header is the start of a disk with a partition table and GRUB. The root file system is the first partition, and begins
where the header ends: both files together are a whole disk, and the root file system's stays what it is. Where there is
no way to join two files, a header without that partition is a small disk to boot from, beside the root disk: GRUB looks
for the root file system by its UUID on every disk.

    sector 0    the partition table, and GRUB's boot sector
    sector 1    GRUB's core image
    1 MiB       the root file system; with UEFI, the EFI system partition, and the root file system at 4 MiB
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from pipeline.errors import ImageError
from pipeline.image.boot import grub, mbr
from pipeline.image.boot.mbr import SECTOR, Partition
from pipeline.image.disk import fat
from pipeline.image.files import sparse
from pipeline.image.files.publish import PUBLIC, publish
from pipeline.image.layer.entries import EPOCH
from pipeline.model.sizes import MIB

RECIPE = 1
"""Raise it when the same settings give another header: what was made by an older recipe is stale."""

_GAP = MIB
"""The bytes before the first partition, where GRUB's core image is; partitioning programs leave as many."""
_EFI_SYSTEM = 3 * MIB

# In GRUB's boot sector, the sector where the core image is. In the first sector of that, of the rest of it: the sector,
# how many there are, and the segment to load them to, which stays. See grub-core/boot/i386/pc/boot.S and diskboot.S in
# its source, and include/grub/i386/pc/boot.h; grub-bios-setup(8) writes the same.
_CORE_SECTOR = 0x5C
_REST = 512 - 12
_DRIVE_CHECK = 0x66
_NO_CHECK = b"\x90\x90"
"""Two of the processor's no-operations, as for all hard disks: there are BIOSes that do not tell the number of one."""

MOST = (mbr.MOST_SECTORS + 1) * SECTOR - _GAP - _EFI_SYSTEM
"""The bytes that a root file system may have at most: a partition table of the PC's kind ends at 2 TiB."""


def size(*, uefi: bool = False) -> int:
    """The bytes that a header takes, and after which the root file system begins."""
    return _GAP + (_EFI_SYSTEM if uefi else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a header boots, and by what."""

    root_uuid: UUID
    """Of the root file system."""
    arguments: Sequence[str] = ()
    """For the kernel, unless the root file system has a grub.cfg of its own."""
    kernel: grub.Kernel | None = None
    """What is tried before grub.script()'s own choice, unless there is a grub.cfg."""
    uefi: bool = False
    """Whether it boots by UEFI as well as by a BIOS."""


def build(target: Path, settings: Settings, *, root_size: int | None) -> None:
    """Make a header.

    With `root_size`, which is its size in bytes, the root file system's image is to follow the header as its partition;
    with None, it is on another disk. Raises ImageError, also where GRUB is not installed, or ProcessError.
    """
    with publish(target, mode=PUBLIC, room=size(uefi=settings.uefi)) as draft:
        write(draft, settings, root_size=root_size, shown=target)


def write(file: Path, settings: Settings, *, root_size: int | None, shown: Path | None = None) -> None:
    """Make a header in `file`, a new one or an empty draft, no artifact; errors name `shown`. Else as build()."""
    uefi = settings.uefi
    if root_size is not None and root_size > MOST:
        raise ImageError(
            f"{shown or file}: no disk with a root file system of more than {MOST} bytes boots by its header"
        )
    text = grub.script(settings.root_uuid, settings.arguments, settings.kernel)
    boot_sector, core = grub.for_bios(text)
    parts = [_first_sector(boot_sector, _partitions(root_size, uefi=uefi), settings.root_uuid.fields[0]), _core(core)]
    sparse.create(file, size(uefi=uefi))
    with file.open("r+b") as made:
        made.write(b"".join(parts))
        if uefi:
            made.seek(_GAP)
            made.write(_efi_system(grub.for_uefi(text)))


def is_for(image: Path, root_uuid: UUID) -> bool:
    """Whether the header in `image` may be one that boots the root file system `root_uuid`. Raises OSError.

    A header has 32 bits of that UUID as the signature of its disk.
    """
    with image.open("rb") as file:
        return mbr.signature(file.read(SECTOR)) == root_uuid.fields[0]


def _partitions(root_size: int | None, *, uefi: bool) -> Iterator[Partition]:
    # EDK II, from which most UEFI is made, ignores a table with a partition that does not fit on the disk.
    if root_size is not None:
        yield Partition(mbr.LINUX, size(uefi=uefi) // SECTOR, root_size // SECTOR, active=True)
    if uefi:
        yield Partition(mbr.EFI_SYSTEM, _GAP // SECTOR, _EFI_SYSTEM // SECTOR)


def _first_sector(boot_sector: bytes, partitions: Iterable[Partition], signature: int) -> bytes:
    record = bytearray(boot_sector)
    if len(record) != SECTOR:
        raise ImageError(f"GRUB's boot.img has {len(record)} bytes, not {SECTOR}")
    struct.pack_into("<Q", record, _CORE_SECTOR, 1)
    record[_DRIVE_CHECK : _DRIVE_CHECK + len(_NO_CHECK)] = _NO_CHECK
    mbr.write(record, signature, [*partitions])
    return bytes(record)


def _core(image: bytes) -> bytes:
    sectors = -(-len(image) // SECTOR)
    if sectors * SECTOR > _GAP - SECTOR:
        raise ImageError(f"GRUB's core image has {len(image)} bytes: too many for the {_GAP} before a partition")
    core = bytearray(image)
    struct.pack_into("<QH", core, _REST, 2, sectors - 1)
    return bytes(core)


def _efi_system(program: bytes) -> bytes:
    """An EFI system partition with `program` where UEFI looks on a disk that it does not know; the same for the same.

    See 3.5.1.1 and 13.3 of the UEFI specification.
    """
    fat.check_programs("a guest with UEFI")
    with TemporaryDirectory(prefix="efi-") as scratch:
        image, file = Path(scratch, "image"), Path(scratch, "BOOTX64.EFI")
        file.write_bytes(program)
        os.utime(file, (EPOCH, EPOCH))
        fat.create(image, _EFI_SYSTEM, "EFI")
        fat.make_directories(image, "/EFI", "/EFI/BOOT")
        fat.copy(image, file, "/EFI/BOOT/BOOTX64.EFI")
        return image.read_bytes()
