"""Partition tables of the PC's kind, in a disk's first sector, the master boot record (UEFI specification, 5.2)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

SECTOR = 512
"""Bytes."""

MOST_SECTORS = (1 << 32) - 1
"""A table counts them in 32 bits: a partition ends below 2 TiB."""

LINUX, EFI_SYSTEM = 0x83, 0xEF
"""Types of partitions."""

_SIGNATURE = 0x1B8
"""Where the number is that tells a disk from others."""
_TABLE = 0x1BE
_MAX_PARTITIONS = 4
_ENTRY = struct.Struct("<B3sB3sII")
_ACTIVE = 0x80
_BEYOND = bytes([0xFE, 0xFF, 0xFF])
"""What stands for a place that cylinder, head and sector do not reach; all of ours are given by number alone."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a disk, in sectors."""

    kind: int
    first: int
    count: int
    active: bool = False
    """Whether it is the one that a boot loader of old starts."""


def write(record: bytearray, signature: int, partitions: Sequence[Partition]) -> None:
    """Put the table of at most four `partitions` into the first sector `record`, whose boot code stays what it is."""
    struct.pack_into("<I", record, _SIGNATURE, signature)
    entries = [
        _ENTRY.pack(_ACTIVE * each.active, _BEYOND, each.kind, _BEYOND, each.first, each.count) for each in partitions
    ]
    record[_TABLE:SECTOR] = b"".join(entries).ljust(_MAX_PARTITIONS * _ENTRY.size, b"\0") + b"\x55\xaa"


def signature(record: bytes) -> int | None:
    """The number that tells the disk with the first sector `record` from others; None for less than a sector."""
    return struct.unpack_from("<I", record, _SIGNATURE)[0] if len(record) >= SECTOR else None
