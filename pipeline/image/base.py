"""Bases: root file systems that guests' disks are clones of, made in three steps from zeros to a populated image."""

from pathlib import Path
from uuid import UUID

from pipeline.errors import ImageError
from pipeline.image import blank, e2fsprogs, ext
from pipeline.image.clone import clone
from pipeline.image.layer import Digest, Layer
from pipeline.image.publish import publish

POPULATE_RECIPE = 1
"""Raise it when the same master gives another image: what was populated by an older recipe is stale."""


def zero(target: Path, size: int, *, allocate: bool) -> None:
    """Make an image of `size` zero bytes: sparse, or with all of its space on the disk. Raises ImageError."""
    with publish(target) as draft:
        blank.create(draft, size)
        if allocate:
            blank.allocate(draft)


def format(zeros: Path, target: Path, filesystem: str, uuid: UUID, *, allocate: bool) -> None:
    """Clone `zeros`, and make an empty ext2, ext3 or ext4 `filesystem` of it. Raises ImageError or ProcessError."""
    with publish(target) as draft:
        clone(zeros, draft, allocate=allocate)
        e2fsprogs.format(draft, filesystem, uuid, allocated=allocate)


def populate(formatted: Path, target: Path, master: Layer, digest: str, *, allocate: bool) -> None:
    """Clone `formatted`, and write the whole of `master` into it, which must have this digest to the end.

    Raises ImageError, also when the master is no longer what it was, or does not fit.
    """
    with publish(target) as draft:
        clone(formatted, draft, allocate=allocate)
        seen = Digest()
        with ext.open(draft) as filesystem:
            filesystem.apply(seen.watch(master))
        if seen.hexdigest() != digest:
            raise ImageError("the master changed while it was read", "run doit again")
        e2fsprogs.index(draft)
        e2fsprogs.check(draft)


def adopt(image: Path, target: Path, size: int, filesystem: str | None, *, allocate: bool) -> None:
    """Check an image made by hand, clone it, and grow the clone to `size` bytes.

    Raises ImageError if it is not in order, larger than `size`, or has another file system than the one asked for.
    """
    with ext.open(image, write=False) as found:
        if filesystem not in (None, found.kind):
            raise ImageError(f"{image} is {found.kind}, and the guests ask for {filesystem}")
    e2fsprogs.check(image)
    with publish(target) as draft:
        clone(image, draft, allocate=allocate)
        if draft.stat().st_size > size:
            raise ImageError(
                f"{image} has {draft.stat().st_size} bytes, and the guests' root disks {size}",
                "give them a larger root",
            )
        with ext.open(draft) as filesystem_to_grow:
            filesystem_to_grow.mark_checked()
        blank.extend(draft, size)
        if allocate:
            blank.allocate(draft)
        e2fsprogs.grow(draft)
        e2fsprogs.check(draft)
