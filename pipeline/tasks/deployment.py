"""What the build has of a guest, as it is to be deployed, and how that differs from what is deployed."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.engine import ArtifactTask
from pipeline.errors import MasterError
from pipeline.host import fit, receipt
from pipeline.host.built import Built
from pipeline.host.fit import ROOT, SWAP
from pipeline.host.receipt import Card, Inside
from pipeline.host.store import Deployed
from pipeline.model.guest import Guest
from pipeline.model.master import Family, Identity
from pipeline.model.network import Nic
from pipeline.tasks import header, master
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
    configs = tuple(path for path in others if path.name not in BOOT_FILES)
    by_uuid = header.files(guest) or any(str(guest.root_uuid) in text for text in _texts(guest, tasks).values())
    return Built(
        farm=site.farm.name,
        guest=guest.name,
        disks={
            Path(target): made_from(tasks[name], modules if name.startswith("root:") else None)
            for name in disk_tasks(guest)
            for target in tasks[name].targets
        },
        boot=tuple(path for path in others if path.name in BOOT_FILES),
        configs=configs,
        modules=modules,
        inside=_inside(guest),
        bridges={nic.mac: nic.bridge for nic in guest.nics},
        hypervisors=guest.hypervisors,
        looks_for=str(guest.root_uuid) if by_uuid else None,
        sizes={
            ROOT: guest.base.size,
            **({SWAP: guest.swap} if guest.swap is not None else {}),
            **{f"{disk.name}.img": disk.size for disk in guest.disks},
        },
        sized=[path.name for path in configs if path.suffix == ".vmdk" or path.name == header.HEADER],
    )


def changes(guest: Guest, tasks: Mapping[str, ArtifactTask], made: Built, there: Deployed) -> Iterator[str]:
    """How `made`, what the build has of a guest or would have, differs from what is deployed. Raises HostError."""
    known = there.receipt
    if known is None:
        return
    for disk, changed in fit.stale(there, known, made):
        yield f"{disk}: {', '.join(changed)}"
    for name, text in _texts(guest, tasks).items():
        recorded = known.configs.get(name)
        if not recorded or hashlib.sha256(text.encode()).hexdigest() != recorded.sha256:
            yield name


def _texts(guest: Guest, tasks: Mapping[str, ArtifactTask]) -> dict[str, str]:
    """The configurations that are text, by name, as the list has them now."""
    task = tasks[f"config:{guest.name}"]
    names = {Path(target).name for target in task.targets}
    return {name: text for name, text in task.made_from.now().items() if name in names and isinstance(text, str)}


def _inside(guest: Guest) -> Inside:
    """What is on the disks that are built for `guest`."""
    swap = {SWAP: str(guest.swap_uuid)} if guest.swap is not None else {}
    disks = {f"{disk.name}.img": str(disk.uuid) for disk in guest.disks if disk.filesystem is not None}
    mounted = {f"{disk.name}.img": str(disk.uuid) for disk in guest.disks if disk.mount is not None}
    told = guest.identity is Identity.CLOUD_INIT or guest.base.master.family is not Family.NONE
    return Inside(
        uuids={ROOT: str(guest.root_uuid), **swap, **disks},
        mounts={**swap, **mounted},
        network=tuple(map(_card, guest.nics)) if told else None,
    )


def _card(nic: Nic) -> Card:
    asks = (("dhcp", nic.dhcp4), ("dhcp6", nic.dhcp6), ("router advertisements", nic.accept_ra))
    return Card(
        mac=nic.mac,
        addresses=(*map(str, nic.addresses), *(name for name, is_so in asks if is_so)),
        gateways=tuple(map(str, nic.gateways)),
        vlan=nic.vlan,
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
