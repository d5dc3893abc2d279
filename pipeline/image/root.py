"""Root disks: clones of a base, each with an identity of its own."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from pipeline.image import blank, e2fsprogs, ext
from pipeline.image.clone import clone
from pipeline.image.layer import Layer
from pipeline.image.publish import publish
from pipeline.image.tree import Tree


def build(base: Path, target: Path, identity: Callable[[Tree], Layer], uuid: UUID, *, allocate: bool) -> None:
    """Clone `base` to `target`, and give the clone its own UUID and the layer that `identity` makes of what is in it.

    Raises ImageError or ProcessError; `target` is whole, or what it was.
    """
    with publish(target, room=base.stat().st_size if allocate else blank.space(base)) as draft:
        clone(base, draft, allocate=allocate)
        with ext.open(draft) as filesystem:
            filesystem.apply(identity(filesystem))
            in_superblock = filesystem.can_change_uuid
            if in_superblock:
                filesystem.uuid = uuid
        if not in_superblock:
            e2fsprogs.change_uuid(draft, uuid)
