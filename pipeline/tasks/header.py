"""header:G: what a boot loader takes to start a guest: a disk to boot from, or what makes one of its root disk."""

from functools import partial
from pathlib import Path

from pipeline import hypervisors
from pipeline.engine import Inputs, Tasks, artifact
from pipeline.hypervisors import Start
from pipeline.image.boot import grub, header
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Firmware
from pipeline.tasks.site import Site

BOOT, HEADER = "boot.img", "header.img"


def tasks(site: Site) -> Tasks:
    """A task for each guest that a boot loader starts."""
    for guest in site.guests:
        sizes = {site.guest(guest) / name: size for name, size in files(guest).items()}
        if sizes:
            settings = settings_of(guest)
            yield artifact(
                guest.name,
                f"{guest.name}'s boot loader",
                partial(_build, sizes, settings),
                guest=guest.name,
                targets=[*sizes],
                inputs={"files": [[path.name, size] for path, size in sizes.items()], **inputs(settings)},
            )


def files(guest: Guest) -> dict[str, int | None]:
    """The headers that a guest's hypervisors start it by, with the size of the root disk that follows, if one does."""
    starts = hypervisors.starts(guest)
    found: dict[str, int | None] = {BOOT: None} if Start.BOOT_DISK in starts else {}
    return {**found, HEADER: guest.base.size} if Start.HEADER in starts else found


def settings_of(guest: Guest) -> header.Settings:
    """What the guest's headers are made from."""
    master = guest.base.master
    return header.Settings(
        root_uuid=guest.root_uuid,
        arguments=hypervisors.arguments(guest),
        kernel=grub.Kernel(master.kernel, master.initrd) if master.kernel and master.initrd else None,
        uefi=guest.firmware is Firmware.UEFI,
    )


def inputs(settings: header.Settings) -> Inputs:
    """What a header of these settings is made from."""
    kernel = settings.kernel
    return {
        "recipe": header.RECIPE,
        "root UUID": str(settings.root_uuid),
        "arguments": [*settings.arguments],
        "kernel": [str(kernel.kernel), str(kernel.initrd)] if kernel else None,
        "UEFI": settings.uefi,
        "GRUB": grub.version,
    }


def size(guest: Guest) -> int:
    """The bytes that each of a guest's headers takes."""
    return header.size(uefi=guest.firmware is Firmware.UEFI)


def _build(sizes: dict[Path, int | None], settings: header.Settings) -> None:
    for target, root_size in sizes.items():
        header.build(target, settings, root_size=root_size)
