"""Root disks: clones of a base, each with an identity of its own."""

from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.ext import e2fsprogs, selinux
from pipeline.image.ext.written import Written
from pipeline.image.files import sparse
from pipeline.image.files.clone import clone
from pipeline.image.files.content import Clone
from pipeline.image.files.publish import SECRET, publish
from pipeline.image.layer.entries import Entry, File, Layer, Removal, Symlink
from pipeline.image.layer.tree import Tree


def build(base: Path, target: Path, identity: Callable[[Tree], Layer], uuid: UUID, *, allocate: bool) -> Clone | None:
    """Clone `base` to `target`, and give the clone its own UUID and the layer that `identity` makes of what is in it.

    Returns what was done, but for None where it is not known where the clone was written to. What was written is read
    back.
    Raises ImageError or ProcessError; `target` is whole, or what it was.
    """
    written = Written()
    room = base.stat().st_size if allocate else sparse.space(base)
    with publish(target, room=room, allocated=allocate) as draft:
        clone(base, draft, allocate=allocate)
        with ext.open(draft, written=written) as filesystem:
            layer = list(identity(filesystem))
            selinux.write(filesystem, layer)
            in_superblock = filesystem.can_change_uuid
            if in_superblock:
                filesystem.uuid = uuid
                draft.chmod(SECRET)  # before it is synced, and not once more after that
        if not in_superblock:
            e2fsprogs.change_uuid(draft, uuid)
        _check_written(draft, layer, uuid)
    return Clone(target, base, written) if in_superblock else None


def _check_written(image: Path, layer: Iterable[Entry], uuid: UUID) -> None:
    last: dict[str, Entry] = {}
    for entry in layer:
        if isinstance(entry, Removal):
            last = {path: each for path, each in last.items() if not path.startswith(f"{entry.path}/")}
        last[entry.path] = entry
    with ext.open(image, write=False) as filesystem:
        for path, entry in last.items():
            if isinstance(entry, File) and filesystem.read(path) != entry.content.read():
                raise ImageError(f"/{path} is not what was written to it")
            if isinstance(entry, Symlink) and filesystem.readlink(path) != entry.target:
                raise ImageError(f"/{path} does not lead to where it shall")
        if filesystem.uuid != uuid:
            raise ImageError(f"the file system's UUID is {filesystem.uuid}, not {uuid}")
