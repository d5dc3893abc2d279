"""disk:G:whole and vmdk:G: a guest's root disk as a whole disk in a single file, where something wants such a one."""

from functools import partial
from pathlib import Path

from pipeline import hypervisors
from pipeline.engine import Space, Tasks, artifact
from pipeline.hypervisors import Start, vmdk
from pipeline.image.boot import stream_vmdk, whole
from pipeline.model.disk import Allocation
from pipeline.model.guest import Guest
from pipeline.tasks import guest as guests
from pipeline.tasks import header
from pipeline.tasks.site import Site

_WHOLE = "whole"
"""A name that no other disk of a guest may have, see guestlist/keys/disk.py."""


def wholes(site: Site) -> Tasks:
    """A task for each guest that has its kernel in its root disk: that disk as a raw one that boots by itself."""
    for guest in site.guests:
        if guest.host_kernel is None:
            root, target = Path(site.file_of(guest.name, guests.ROOT)), site.file_of(guest.name, f"{_WHOLE}.img")
            settings = header.settings_of(guest)
            full = guest.base.allocation is Allocation.FULL
            yield artifact(
                f"{guest.name}:{_WHOLE}",
                f"{guest.name}'s root disk as a whole disk, on request",
                partial(whole.build, root, Path(target), settings, allocate=full),
                guest=guest.name,
                targets=[target],
                files=[root],
                inputs={
                    **header.inputs(settings),
                    "whole recipe": whole.RECIPE,
                    "allocation": str(guest.base.allocation),
                },
                space=Space(partial(guests.root_space, site, guest), full=guest.base.size),
                on_request=True,
            )


def vmdks(site: Site) -> Tasks:
    """A task for each guest that is for VMware: the disk that its virtual machine there has first, in one file."""
    for guest in site.guests:
        if Start.HEADER in hypervisors.starts(guest):
            disk = f"{guest.name}.vmdk"
            files = [site.file_of(guest.name, name) for name in (header.HEADER, guests.ROOT, disk)]
            target = site.file_of(guest.name, f"{guest.name}.stream.vmdk")
            yield artifact(
                guest.name,
                f"{guest.name}'s root disk as a streamOptimized VMDK, on request",
                partial(stream_vmdk.build, Path(files[-1]), Path(target), hardware=vmdk.HARDWARE),
                guest=guest.name,
                targets=[target],
                files=files,
                inputs={"recipe": stream_vmdk.RECIPE, "qemu-img": stream_vmdk.version},
                on_request=True,
            )


def names(guest: Guest) -> list[str]:
    """What the tasks are called that there may be for a guest."""
    return [f"disk:{guest.name}:{_WHOLE}", f"vmdk:{guest.name}"]


def absence(guest: Guest, task: str) -> str:
    """Why the guest has no such `task` of names(), and what to do about it."""
    if task == f"vmdk:{guest.name}":
        return f"guest '{guest.name}' is not for VMware, and so has no VMDK; add vmware to its hypervisors"
    return f"guest '{guest.name}' boots a kernel of its host, so {task} would not boot; say 'kernel: none'"
