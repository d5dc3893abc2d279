"""What the build has of a guest, as it is to be deployed."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.engine import ArtifactTask
from pipeline.errors import MasterError
from pipeline.host import receipt
from pipeline.host.built import Built
from pipeline.model.guest import Guest
from pipeline.tasks import master
from pipeline.tasks.guest import BOOT_FILES, names
from pipeline.tasks.site import Site

_DISKS = ("root", "swap", "disk", "seed")
"""The groups of tasks that make disks which belong to the guest as soon as it has started."""

_INSIDE = ("keys",)
"""Those that make what is on the root disk already, and what administrators look up in build/."""

_UNTOLD = ("recipe", "size", "libext2fs", "e2fsprogs", "mkswap", "dosfstools")
"""Inputs in which a deployed disk may differ from the list and still be up to date: it is resized, and the programs
that made it are not its guest's business."""


def disk_tasks(guest: Guest) -> list[str]:
    """The names of the tasks that make a guest's disks."""
    return [name for name in names(guest) if name.partition(":")[0] in _DISKS]


def other_tasks(guest: Guest) -> list[str]:
    """The names of the tasks that make all else that is to be deployed."""
    return [name for name in names(guest) if name.partition(":")[0] not in (*_DISKS, *_INSIDE)]


def built(site: Site, guest: Guest, tasks: Mapping[str, ArtifactTask]) -> Built:
    """What `tasks` make for a guest; it need not be there."""
    modules = _modules(site, guest)
    others = [Path(target) for name in other_tasks(guest) for target in tasks[name].targets]
    return Built(
        guest=guest.name,
        disks={
            Path(target): made_from(tasks[name], modules if name.startswith("root:") else None)
            for name in disk_tasks(guest)
            for target in tasks[name].targets
        },
        boot=tuple(path for path in others if path.name in BOOT_FILES),
        configs=tuple(path for path in others if path.name not in BOOT_FILES),
        modules=modules,
    )


def made_from(task: ArtifactTask, modules: str | None) -> dict[str, str]:
    """The digests of what a disk would be made from now, by name, for its receipt."""
    inputs = {name: value for name, value in task.made_from.now().items() if name not in _UNTOLD}
    return {name: receipt.digest(value) for name, value in {**inputs, "master": modules}.items() if value is not None}


def _modules(site: Site, guest: Guest) -> str | None:
    try:
        return master.contents(site.digest(guest.base.master)).digest
    except MasterError:  # it is not built
        return None
