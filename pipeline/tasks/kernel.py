"""kernel:M: the kernel and the initrd that the guests of a master boot, taken out of it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from pipeline.engine import Json, Tasks, artifact
from pipeline.errors import ImageError, MasterError
from pipeline.hypervisors import KernelNeed
from pipeline.image import ext
from pipeline.image.files.publish import PUBLIC, publish
from pipeline.image.layer import tar
from pipeline.image.layer.tree import LARGEST_KEPT, LayerTree, Tree
from pipeline.image.sources import kernel
from pipeline.model.master import Image, Master
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
                **_needs(site, master),
            },
        )


def _needs(site: Site, master: Master) -> dict[str, list[Json]]:
    """What guests need of the kernel, by the key of the list that it comes from."""
    needs: dict[str, list[Json]] = {}
    for need in site.kernel_needs(master):
        needs.setdefault(need.key, []).append(need.value)
    return needs


def _build(site: Site, master: Master) -> None:
    try:
        with _tree(site, master) as tree:
            found = kernel.find(tree, master.kernel, master.initrd)
            _check(tree, found, site.kernel_needs(master))
            contents = [(site.kernel(master), found.kernel), (site.initrd(master), found.initrd)]
            for target, path in contents:
                data = tree.read(path, LARGEST_KEPT + 1)
                if len(data) > LARGEST_KEPT:
                    raise MasterError(f"/{path} has more than {LARGEST_KEPT:,} bytes")
                with publish(target, mode=PUBLIC) as draft:
                    draft.write_bytes(data)
    except (ImageError, MasterError) as error:
        raise MasterError(f"master '{master.name}': {error.message}", error.hint) from error


def _check(tree: Tree, found: kernel.Kernel, needs: Iterable[KernelNeed]) -> None:
    """Raise MasterError if the kernel is known to lack what guests need."""
    if found.config is None:
        return
    config = tree.read(found.config).decode()
    for need in needs:
        if not need.is_met(config):
            raise MasterError(
                f"/{found.kernel} cannot run as a {need.kind}: /{found.config} lacks {need.option}=y",
                "install another kernel in the master, or choose one with `kernel:`",
            )


@contextmanager
def _tree(site: Site, master: Master) -> Iterator[Tree]:
    if isinstance(master.source, Image):
        with ext.open(master.source.path, write=False) as filesystem:
            yield filesystem
    else:
        named = {str(path).lstrip("/") for path in (master.kernel, master.initrd) if path is not None}
        yield LayerTree(tar.entries(site.rootfs(master)), keep=lambda path: path in named or kernel.wanted(path))
