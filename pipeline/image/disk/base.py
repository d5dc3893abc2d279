"""Bases: root file systems that guests' disks are clones of, made in three steps from zeros to a populated image."""

import stat
from pathlib import Path
from uuid import UUID

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.disk import data as data_disk
from pipeline.image.ext import e2fsprogs, selinux
from pipeline.image.ext.browse import listed
from pipeline.image.files import digest, sparse
from pipeline.image.files.clone import clone
from pipeline.image.files.publish import publish
from pipeline.image.files.usage import check_unused
from pipeline.image.layer.entries import Contents, Digest, Layer
from pipeline.image.layer.findings import Findings

POPULATE_RECIPE = 2
"""Raise it when the same master gives another image: what was populated by an older recipe is stale."""

_PROGRAMS, _MODULES = ("bin", "sbin"), "lib/modules"
"""Where to look in an image; `bin` may well be a symlink to `usr/bin`."""
_ENOUGH = 1 << 16
"""Bytes of a file: more than any list of what is built into a kernel."""


def zero(target: Path, size: int, *, allocate: bool) -> None:
    """Make an image of `size` zero bytes: sparse, or with all of its space on the disk. Raises ImageError."""
    with publish(target, room=size if allocate else 0, allocated=allocate) as draft:
        sparse.create(draft, size)


def format(zeros: Path, target: Path, filesystem: str, uuid: UUID, *, allocate: bool) -> None:
    """Clone `zeros`, and make an empty ext2, ext3 or ext4 `filesystem` of it. Raises ImageError or ProcessError."""
    with publish(target, room=zeros.stat().st_size if allocate else 0, allocated=allocate) as draft:
        clone(zeros, draft, allocate=allocate)
        data_disk.make_filesystem(draft, filesystem, uuid, allocated=allocate, shown=target)


def populate(formatted: Path, target: Path, master: Layer, contents: Contents, *, allocate: bool) -> None:
    """Clone `formatted`, and write the whole of `master` into it, which must have these `contents` to the end.

    Raises ImageError, also when the master is no longer what it was, or does not fit.
    """
    room = formatted.stat().st_size if allocate else sparse.space(formatted) + contents.room
    with publish(target, room=room, allocated=allocate) as draft:
        clone(formatted, draft, allocate=allocate)
        seen = Digest()
        with ext.open(draft) as filesystem:
            filesystem.apply(seen.watch(master))
            selinux.complete(filesystem)
        if seen.contents() != contents:
            raise ImageError("the master changed while it was read", "run doit again")
        e2fsprogs.index(draft)
        e2fsprogs.check(draft)


def adopt(  # noqa: PLR0913  # an image made by hand is checked against all that is expected of it
    image: Path, target: Path, size: int, filesystem: str | None, contents: Contents, *, allocate: bool
) -> None:
    """Check an image made by hand, clone it, and grow the clone to `size` bytes.

    Raises ImageError if it is not in order, in use, larger than `size`, no longer what `contents` says, or has another
    file system than the one asked for.
    """
    check_unused(image)
    with ext.open(image, write=False) as found:
        if filesystem not in (None, found.kind):
            raise ImageError(f"{image} is {found.kind}, and the guests ask for {filesystem}")
    if image.stat().st_size > size:
        raise ImageError(
            f"{image} has {image.stat().st_size} bytes, and the guests' root disks {size}", "give them a larger root"
        )
    e2fsprogs.check(image)
    with publish(target, room=size if allocate else sparse.space(image), allocated=allocate) as draft:
        clone(image, draft, allocate=allocate)
        if digest.of_file(draft) != contents.digest:
            raise ImageError("the master changed while it was read", "run doit again")
        with ext.open(draft) as filesystem_to_grow:
            filesystem_to_grow.mark_checked()
            selinux.complete(filesystem_to_grow)
            forgets_checksums = filesystem_to_grow.has_orphan_file and not filesystem_to_grow.can_change_uuid
        if forgets_checksums:
            # tune2fs -U makes the checksums anew, but not those of the orphan file: seen with e2fsprogs 1.47.2.
            e2fsprogs.keep_checksum_seed(draft)
        sparse.extend(draft, size)
        e2fsprogs.grow(draft)
        e2fsprogs.check(draft)


def of_image(image: Path) -> Contents:
    """The contents of a master that is an image: those of the whole file, and at least its size."""
    with ext.open(image, write=False) as filesystem:
        found = Findings()
        for folder in (*_PROGRAMS, _MODULES):
            for each in listed(filesystem, folder, recursive=folder == _MODULES) if filesystem.exists(folder) else ():
                listener = found.listener(each.path)
                if listener and stat.S_ISREG(each.status.mode):
                    listener(0, filesystem.read(each.path, _ENOUGH))
    return Contents(digest.of_file(image), image.stat().st_size, found.machine, found.drivers)
