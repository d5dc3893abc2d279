"""The UUIDs by which configurations and fstab find disks, read from the disks that are there."""

from pathlib import Path

from pipeline.errors import ImageError
from pipeline.image.disk import swap
from pipeline.image.ext import superblock


def uuid_of(disk: Path) -> str | None:
    """The UUID of the ext2, ext3 or ext4 file system, or of the swap area, on `disk`; its guest may be writing to it.

    None for anything else: a partitioned disk, another file system, a block device, or one that cannot be read.
    """
    try:
        if not disk.is_file():
            return None
        found = superblock.read(disk)
        uuid = found.uuid if found is not None else swap.read_uuid(disk)
    except (OSError, ImageError):  # torn between two writes of the guest, say
        return None
    return None if uuid is None else str(uuid)
