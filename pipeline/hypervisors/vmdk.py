"""VMDK descriptors: small texts that make a virtual disk of files that are there (VMware's Virtual Disk Format 5.0)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from zlib import crc32

_SECTOR = 512

# What SCSI adapters tell a BIOS of disks beyond 1 GiB; smaller ones have 64 heads of 32 sectors in VMware's own files.
_SMALL, _SMALL_GEOMETRY, _GEOMETRY = 1 << 30, (64, 32), (255, 63)

_TEXT = """\
# Disk DescriptorFile
version=1
encoding="UTF-8"
CID={cid:08x}
parentCID=ffffffff
createType="twoGbMaxExtentFlat"

# Extent description
{extents}
# The Disk Data Base
#DDB

ddb.virtualHWVersion = "{hardware}"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{sectors}"
ddb.adapterType = "lsilogic"
"""
_CID_OF_NONE = 0xFFFFFFFF
"""What stands for a disk without a parent is no disk's own number."""

HARDWARE = 10
"""The version of VMware's virtual hardware that its products from 2013 on have: ESXi 5.5, Workstation 10."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A file that is a part of a disk."""

    file: PurePath
    """Relative to the descriptor, or absolute; without quotes and control characters, which have no escape."""
    size: int
    """In bytes: whole sectors."""


def descriptor(extents: Sequence[Extent]) -> str:
    """The descriptor of the disk that `extents` make up in their order. The same extents give the same text."""
    size = sum(extent.size for extent in extents)
    lines = "".join(f'RW {extent.size // _SECTOR} FLAT "{extent.file}" 0\n' for extent in extents)
    heads, sectors = _SMALL_GEOMETRY if size < _SMALL else _GEOMETRY
    return _TEXT.format(
        cid=crc32(lines.encode()) % _CID_OF_NONE,
        extents=lines,
        hardware=HARDWARE,
        cylinders=size // _SECTOR // (heads * sectors),
        heads=heads,
        sectors=sectors,
    )
