"""What disks are: their file systems, and when they take their space."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from uuid import UUID


class FileSystem(StrEnum):
    """The file systems that Guestfarm makes."""

    EXT2 = "ext2"
    EXT3 = "ext3"
    EXT4 = "ext4"


class Allocation(StrEnum):
    """Whether a disk takes its space when it is made (full) or when its guest writes to it (sparse)."""

    SPARSE = "sparse"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk that a guest has besides root and swap."""

    name: str
    size: int
    filesystem: FileSystem | None
    """None: zeros alone."""
    allocation: Allocation
    mount: PurePosixPath | None
    """Where the guest mounts it, if it does."""
    label: str | None
    uuid: UUID
    """Of its file system."""
