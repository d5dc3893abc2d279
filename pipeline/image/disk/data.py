"""Disks with a file system or with nothing, for guests' own data."""

from pathlib import Path
from uuid import UUID

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.ext import e2fsprogs
from pipeline.image.files import sparse
from pipeline.image.files.publish import publish


def build(  # noqa: PLR0913  # a disk is described by as much
    target: Path, size: int, filesystem: str | None, uuid: UUID, *, label: str | None = None, allocate: bool = False
) -> None:
    """Make a disk of `size` bytes with an empty ext2, ext3 or ext4 `filesystem`; of zeros alone where that is None.

    With `allocate` it has all of its space from the start. Raises ImageError or ProcessError.
    """
    with publish(target, room=size if allocate else 0, allocated=allocate) as draft:
        sparse.create(draft, size)
        if allocate:
            sparse.allocate(draft)
        if filesystem is not None:
            make_filesystem(draft, filesystem, uuid, label=label, allocated=allocate, shown=target)


def make_filesystem(  # noqa: PLR0913  # as above
    image: Path, filesystem: str, uuid: UUID, *, label: str | None = None, allocated: bool, shown: Path
) -> None:
    """Make an empty file system that fills `image`, with a journal where its kind has one; errors name `shown`.

    Raises ImageError or ProcessError.
    """
    e2fsprogs.format(image, filesystem, uuid, label=label, allocated=allocated)
    with ext.open(image, write=False) as made:
        if filesystem != "ext2" and not made.has_journal:
            raise ImageError(f"{shown}: too small for {filesystem}'s journal", "give it a larger size, or ext2")
