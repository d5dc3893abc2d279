"""root:G, swap:G, disk:G:NAME and config:G: what is one guest's own."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

from pipeline import guestos, hypervisors
from pipeline.engine import Json, Space, Tasks, artifact
from pipeline.errors import MasterError
from pipeline.guestos import resolver, selinux
from pipeline.image.boot import pygrub
from pipeline.image.disk import data as data_disk
from pipeline.image.disk import nocloud as nocloud_disk
from pipeline.image.disk import root, swap
from pipeline.image.ext import e2fsprogs, libext2fs
from pipeline.image.files import sparse
from pipeline.image.files.clone import shares_blocks
from pipeline.image.files.content import Clone
from pipeline.image.files.publish import PROGRAM, PUBLIC, publish_link, publish_text
from pipeline.inputs import templates
from pipeline.inputs.files import read
from pipeline.inputs.tree import walk
from pipeline.model import sizes
from pipeline.model.disk import Allocation, Disk
from pipeline.model.guest import Guest
from pipeline.model.master import Base, Identity, Master
from pipeline.tasks import base, header, host_keys, list_keys, recorded_inputs
from pipeline.tasks.site import Site

ROOT, _SWAP, SEED, _KERNEL, _INITRD = "root.img", "swap.img", "seed.img", "vmlinuz", "initrd.img"
BOOT_FILES = (_KERNEL, _INITRD)
"""The kernel of a guest's master, and its initrd: they belong to the modules on the root disk."""


def roots(site: Site) -> Tasks:
    """A task for each guest: its root disk."""

    @cache  # guests share them
    def facts(base: Base) -> tuple[str, str]:
        return base.name, str(site.populated(base))

    for guest in site.guests:
        base_name, populated = facts(guest.base)
        yield artifact(
            guest.name,
            f"{guest.name}'s root disk: {base_name} with its own identity",
            partial(_build_root, site, guest),
            guest=guest.name,
            targets=[site.file_of(guest.name, ROOT)],
            files=[populated, *([public] if (public := _public_keys_in_root(site, guest)) else ())],
            inputs={
                "recipe": guestos.RECIPE,
                **(_by_files(guest) if guest.identity is Identity.FILES else _for_cloud_init(guest)),
                "allocation": str(guest.base.allocation),
                "file system": guest.base.filesystem,
                "root UUID": str(guest.root_uuid),
                "swap UUID": str(guest.swap_uuid) if guest.swap is not None else None,
                "mounts": _mounts(guest),
                "machine ID": guest.machine_id,
                "roles": recorded_inputs.roles(guest),
                "order of roles": ", ".join(role.name for role in guest.roles) if len(guest.roles) > 1 else None,
                "files": recorded_inputs.own_files(guest),
                "units": recorded_inputs.units(guest),
                "family": guest.base.master.family,
                "SELinux": "off" if selinux.is_switched_off(guest) else None,
                "libext2fs": libext2fs.version,
            },
            keys=list_keys.of_root(site, guest),
            space=Space(partial(root_space, site, guest), full=guest.base.size),
        )


def swaps(site: Site) -> Tasks:
    """A task for each guest that swaps: its swap disk."""
    for guest in site.guests:
        if guest.swap is not None:
            target = site.file_of(guest.name, _SWAP)
            yield artifact(
                guest.name,
                f"{guest.name}'s swap disk of {sizes.format_size(guest.swap)}",
                partial(_build_swap, target, guest.swap, guest.swap_uuid),
                guest=guest.name,
                targets=[target],
                inputs={
                    "recipe": swap.RECIPE,
                    "size": guest.swap,
                    "UUID": str(guest.swap_uuid),
                    "mkswap": swap.version,
                },
                keys=list_keys.of_swap(site, guest),
                space=Space(0, full=guest.swap),
            )


def disks(site: Site) -> Tasks:
    """A task for each other disk of each guest."""
    for guest in site.guests:
        for each in guest.disks:
            target = site.guest(guest) / _image(each)
            full = each.allocation is Allocation.FULL
            yield artifact(
                f"{guest.name}:{each.name}",
                f"{guest.name}'s disk {each.name}: {each.filesystem or 'zeros'}, {sizes.format_size(each.size)}",
                partial(
                    data_disk.build,
                    Path(target),
                    each.size,
                    each.filesystem,
                    each.uuid,
                    label=each.label,
                    allocate=full,
                ),
                guest=guest.name,
                targets=[target],
                inputs={
                    "recipe": e2fsprogs.RECIPE if each.filesystem else sparse.RECIPE,
                    "size": each.size,
                    "allocation": str(each.allocation),
                    "file system": each.filesystem,
                    **({"UUID": str(each.uuid), "e2fsprogs": e2fsprogs.version} if each.filesystem else {}),
                    "label": each.label,
                },
                keys=list_keys.of_disk(site, each),
                space=Space(each.size if full else 0, full=each.size),
            )


def names(guest: Guest) -> list[str]:
    """The names of the tasks that make a guest's files."""
    swap_name = [f"swap:{guest.name}"] if guest.swap is not None else []
    disk_names = [f"disk:{guest.name}:{each.name}" for each in guest.disks]
    keys_name = [f"keys:{guest.name}"] if guest.host_keys else []
    seed_name = [f"seed:{guest.name}"] if guest.identity is Identity.CLOUD_INIT else []
    header_name = [f"header:{guest.name}"] if header.files(guest) else []
    return [
        *(*keys_name, f"root:{guest.name}", *seed_name, *swap_name, *disk_names, *header_name),
        f"config:{guest.name}",
    ]


def configs(site: Site) -> Tasks:
    """A task for each guest: its configurations, and the kernel and initrd that they name."""

    @cache  # as above
    def boot_files(master: Master) -> tuple[str, str]:
        return str(site.kernel(master)), str(site.initrd(master))

    for guest in site.guests:
        files = files_in(site.images / guest.name, guest)
        used = [hypervisors.BY_NAME[name] for name in guest.hypervisors]
        texts = {f"{guest.name}.{each.suffix}": each.render(guest, files) for each in used}
        modes = [PROGRAM if each.executable else PUBLIC for each in used]
        for each in used:
            more = each.descriptors(guest, files)
            texts |= more
            modes += [PUBLIC] * len(more)
        links = dict(zip(BOOT_FILES, boot_files(guest.base.master), strict=True)) if guest.host_kernel is None else {}
        yield artifact(
            guest.name,
            f"{guest.name}'s configuration for {', '.join(guest.hypervisors)}",
            partial(_build_config, site, guest, texts, modes, links),
            guest=guest.name,
            targets=[site.file_of(guest.name, name) for name in (*texts, *links)],
            files=list(links.values()),
            tasks=[f"root:{guest.name}"] if _is_looked_into(guest) else (),
            inputs={"recipe": hypervisors.RECIPE, **texts},
            keys=list_keys.of_config(site, guest),
        )


def _by_files(guest: Guest) -> dict[str, Json | Callable[[], Json]]:
    """What tells a guest who it is, where that is on its root disk."""
    return {
        "name": guest.name,
        "network": [recorded_inputs.network(nic) for nic in guest.nics],
        "users": recorded_inputs.asking(recorded_inputs.users, guest.users),
        "host keys": None if guest.host_keys is None else [*guest.host_keys],
        "time zone": guest.timezone,
        "locale": guest.locale,
        "keyboard": guest.keyboard,
    }


def _for_cloud_init(guest: Guest) -> dict[str, Json | Callable[[], Json]]:
    """What is on the root disk of a guest which cloud-init tells who it is."""
    servers, search = resolver.nameservers(guest), resolver.search(guest)
    has_routes = {"has routes": True} if any(nic.routes for nic in guest.nics) else {}
    return {"identity": str(guest.identity), "nameservers": [*servers], "search": [*search], **has_routes}


def _public_keys_in_root(site: Site, guest: Guest) -> str | None:
    return host_keys.public(site, guest) if guest.identity is Identity.FILES else None


def root_space(site: Site, guest: Guest) -> int:
    """The bytes that a guest's root disk takes, or a copy of it."""
    full = guest.base.allocation is Allocation.FULL
    return 0 if not full and shares_blocks(site.build) else base.populated_space(site, guest.base)


def _build_root(site: Site, guest: Guest) -> Clone | None:
    allocate = guest.base.allocation is Allocation.FULL
    keys = host_keys.private(site, guest) if guest.identity is Identity.FILES else {}
    identity = partial(guestos.identity, templates.filled(guest), read=read, host_keys=keys, walk=walk)
    try:
        base_image, target = site.populated(guest.base), site.guest(guest) / ROOT
        return root.build(base_image, target, identity, guest.root_uuid, allocate=allocate)
    except MasterError as error:
        lines = str(error).splitlines()
        raise MasterError("\n".join(f"master '{guest.base.master.name}': {line}" for line in lines)) from error


def _build_swap(target: str, size: int, uuid: UUID) -> None:
    swap.build(Path(target), size, uuid)


def _build_config(site: Site, guest: Guest, texts: dict[str, str], modes: list[int], links: dict[str, str]) -> None:
    folder = site.guest(guest)
    if _is_looked_into(guest):
        pygrub.check(folder / ROOT, guest.name)
    *_, last = (*texts, *links)
    for (name, text), mode in zip(texts.items(), modes, strict=True):
        publish_text(folder / name, text, mode=mode, sync_name=name == last)
    for name, source in links.items():
        publish_link(folder / name, Path(source), sync_name=name == last)


def _is_looked_into(guest: Guest) -> bool:
    """Whether something of the host's looks for a menu in the root disk: that is pygrub."""
    return hypervisors.Start.ROOT_DISK in hypervisors.starts(guest)


def files_in(folder: PurePosixPath, guest: Guest) -> hypervisors.Files:
    """The files of `guest`, of which its own are in `folder`."""
    own = guest.host_kernel
    return hypervisors.Files(
        root=folder / ROOT,
        swap=folder / _SWAP if guest.swap is not None else None,
        kernel=own.kernel if own else folder / _KERNEL,
        ramdisk=own.ramdisk if own else folder / _INITRD,
        boot=folder / header.BOOT,
        header=folder / header.HEADER,
        header_size=header.size(guest),
        others={each.name: folder / _image(each) for each in guest.disks},
        seed=folder / SEED if guest.identity is Identity.CLOUD_INIT else None,
        seed_size=nocloud_disk.SIZE,
    )


def _image(each: Disk) -> str:
    return f"{each.name}.img"


def _mounts(guest: Guest) -> list[Any] | None:
    """What root's fstab has of other disks; None where that is nothing, as it was before there were any."""
    return [[str(each.uuid), str(each.mount), each.filesystem] for each in guest.disks if each.mount] or None
