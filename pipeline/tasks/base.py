"""zero:B, format:B and populate:B: the three steps to a base, which all guests with the same wishes are clones of."""

from functools import partial

from pipeline.engine import Space, Tasks, artifact
from pipeline.image.disk import base as images
from pipeline.image.ext import e2fsprogs
from pipeline.image.files import sparse
from pipeline.image.layer import tar
from pipeline.image.layer.entries import Layer
from pipeline.model import identity, sizes
from pipeline.model.disk import Allocation
from pipeline.model.master import Base, Image
from pipeline.tasks import list_keys, master
from pipeline.tasks.site import Site


def zeros(site: Site) -> Tasks:
    """A task for each base: an image of zeros. A master that is an image needs none."""
    for base in _formatted(site):
        yield artifact(
            base.name,
            f"{sizes.format_size(base.size)} of zeros, {base.allocation}",
            partial(images.zero, site.zero(base), base.size, allocate=_is_full(base)),
            targets=[site.zero(base)],
            inputs={"recipe": sparse.RECIPE, "size": base.size, "allocation": str(base.allocation)},
            space=Space(base.size if _is_full(base) else 0),
        )


def formats(site: Site) -> Tasks:
    """A task for each base: an empty file system. A master that is an image needs none."""
    for base in _formatted(site):
        uuid = identity.base_uuid(site.name, base.name)
        kind = str(base.filesystem)
        yield artifact(
            base.name,
            f"an empty {kind} file system of {sizes.format_size(base.size)}",
            partial(images.format, site.zero(base), site.formatted(base), kind, uuid, allocate=_is_full(base)),
            targets=[site.formatted(base)],
            files=[site.zero(base)],
            inputs={
                "recipe": e2fsprogs.RECIPE,
                "file system": kind,
                "UUID": str(uuid),
                "e2fsprogs": e2fsprogs.version,
            },
            keys=list_keys.of_base(site),
            space=Space(base.size if _is_full(base) else 0),
        )


def populates(site: Site) -> Tasks:
    """A task for each base: the file system with all of its master's files."""
    for base in site.bases:
        image = isinstance(base.master.source, Image)
        yield artifact(
            base.name,
            f"the files of master {base.master.name} on {sizes.format_size(base.size)}",
            partial(_adopt if image else _populate, site, base),
            targets=[site.populated(base)],
            files=[site.digest(base.master), *([] if image else [site.formatted(base)])],
            inputs={
                "recipe": images.POPULATE_RECIPE,
                "size": base.size,
                "file system": base.filesystem,
                "allocation": str(base.allocation),
                "e2fsprogs": e2fsprogs.version,
            },
            space=Space(partial(populated_space, site, base)),
        )


def populated_space(site: Site, base: Base) -> int:
    """The bytes that a base takes, or a copy of it; as far as its master is known."""
    if base.allocation is Allocation.FULL:
        return base.size
    populated = site.populated(base)
    return sparse.space(populated) if populated.exists() else master.room(site, base.master)


def _populate(site: Site, base: Base) -> None:
    files: Layer = tar.entries(site.rootfs(base.master))
    contents = master.contents(site.digest(base.master))
    images.populate(site.formatted(base), site.populated(base), files, contents, allocate=_is_full(base))


def _adopt(site: Site, base: Base) -> None:
    contents = master.contents(site.digest(base.master))
    image, target = site.rootfs(base.master), site.populated(base)
    images.adopt(image, target, base.size, base.filesystem, contents, allocate=_is_full(base))


def _formatted(site: Site) -> list[Base]:
    return [base for base in site.bases if not isinstance(base.master.source, Image)]


def _is_full(base: Base) -> bool:
    return base.allocation is Allocation.FULL
