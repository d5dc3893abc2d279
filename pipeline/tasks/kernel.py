"""kernel:M: the kernel and the initrd that the guests of a master boot, taken out of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pipeline.doit_glue import Tasks, artifact
from pipeline.errors import ImageError, MasterError
from pipeline.farm.model import Image, Master
from pipeline.image import ext, kernel, tar
from pipeline.image.publish import PUBLIC, publish
from pipeline.image.tree import LayerTree, Tree
from pipeline.tasks.site import Site


def tasks(site: Site) -> Tasks:
    """A task for each master whose own kernel guests boot."""
    for master in site.booted_masters:
        yield artifact(
            master.name,
            f"the kernel and the initrd of master {master.name}",
            partial(_build, site, master),
            targets=[site.kernel(master), site.initrd(master)],
            files=[site.digest(master)],
            inputs={
                "recipe": kernel.RECIPE,
                "kernel": str(master.kernel or "its own choice"),
                "initrd": str(master.initrd or "its own choice"),
            },
        )


def _build(site: Site, master: Master) -> None:
    try:
        with _tree(site, master) as tree:
            found = kernel.find(tree, master.kernel, master.initrd)
            if found.config is not None and not kernel.runs_as_xen_pv(tree.read(found.config).decode()):
                raise MasterError(
                    f"/{found.kernel} cannot run as a Xen PV guest: /{found.config} lacks CONFIG_XEN_PV=y",
                    "install another kernel in the master, or choose one with `kernel:`",
                )
            contents = [(site.kernel(master), found.kernel), (site.initrd(master), found.initrd)]
            for target, path in contents:
                with publish(target, mode=PUBLIC) as draft:
                    draft.write_bytes(tree.read(path))
    except (ImageError, MasterError) as error:
        raise MasterError(f"master '{master.name}': {error.message}", error.hint) from error


@contextmanager
def _tree(site: Site, master: Master) -> Iterator[Tree]:
    if isinstance(master.source, Image):
        with ext.open(master.source.path, write=False) as filesystem:
            yield filesystem
    else:
        yield LayerTree(tar.entries(site.rootfs(master)), keep=kernel.wanted)
