"""What artifacts follow from, by the keys of guests.yaml: what `doit why` tells when one of them changes."""

from dataclasses import asdict
from functools import partial

from pipeline.engine import EVERYTHING, FILES, Json, Keys
from pipeline.model.disk import Disk
from pipeline.model.guest import Guest
from pipeline.model.sizes import format_size
from pipeline.tasks.site import Site

_DERIVED = ("UUID", "root UUID", "swap UUID", "machine ID", "instance ID", "mounts")
"""Inputs that follow from the names of the farm and of the guest."""


def of_base(site: Site) -> Keys:
    """Those of a base, but for those that its name has: another base is another artifact."""
    return Keys(partial(_farm, site), {"farm": _DERIVED})


def of_host_keys(guest: Guest) -> Keys:
    """Those of a guest's host keys."""
    return Keys(partial(_host_keys, guest), {"host_keys": ("kinds", "files")})


def of_root(site: Site, guest: Guest) -> Keys:
    """Those of a root disk that its other inputs do not name: where it comes from."""
    follow = {
        "farm": _DERIVED,
        "master": (FILES,),
        "root size": (FILES,),
        "root fs": (FILES, "file system"),
        "root allocate": (FILES, "allocation"),
        "swap": ("swap UUID",),
        "host_keys": (FILES, "host keys"),
        "identity": (EVERYTHING, FILES),
    }
    return Keys(partial(_root, site, guest), follow, ("mounts",))


def of_swap(site: Site, guest: Guest) -> Keys:
    """Those of a swap disk."""
    return Keys(partial(_swap, site, guest), {"farm": _DERIVED, "swap": ("size",)})


def of_disk(site: Site, disk: Disk) -> Keys:
    """Those of another disk."""
    return Keys(
        partial(_disk, site, disk), {"farm": _DERIVED}, ("size", "allocation", "file system", "label", *_DERIVED)
    )


def of_config(site: Site, guest: Guest) -> Keys:
    """Those of a guest's configurations, which are on record as the texts that they are."""
    return Keys(partial(_config, site, guest), {}, (EVERYTHING, FILES))


def _farm(site: Site) -> dict[str, Json]:
    return {"farm": site.name}


def _host_keys(guest: Guest) -> dict[str, Json]:
    return {"host_keys": [*map(str, guest.host_keys or ("first-boot",))]}


def _root(site: Site, guest: Guest) -> dict[str, Json]:
    base = guest.base
    mounts: dict[str, Json] = {}
    for disk in guest.disks:
        if disk.mount:
            mounts |= {f"disks {disk.name} mount": str(disk.mount), f"disks {disk.name} fs": _text(disk.filesystem)}
    return {
        "farm": site.name,
        "master": base.master.name,
        "root size": format_size(base.size),
        "root fs": _text(base.filesystem),
        "root allocate": str(base.allocation),
        "swap": "none" if guest.swap is None else "a disk",
        **_host_keys(guest),
        "identity": str(guest.identity),
        **mounts,
    }


def _swap(site: Site, guest: Guest) -> dict[str, Json]:
    return {"farm": site.name, "swap": _size(guest.swap)}


def _disk(site: Site, disk: Disk) -> dict[str, Json]:
    where = f"disks {disk.name}"
    return {
        "farm": site.name,
        f"{where} size": format_size(disk.size),
        f"{where} fs": _text(disk.filesystem),
        f"{where} allocate": str(disk.allocation),
        f"{where} label": disk.label,
    }


def _config(site: Site, guest: Guest) -> dict[str, Json]:
    kernel = guest.host_kernel
    return {
        "farm": site.name,
        "images": str(site.images),
        "hypervisors": [*guest.hypervisors],
        "memory": format_size(guest.memory),
        "maxmem": format_size(guest.maxmem) if guest.maxmem != guest.memory else None,
        "vcpus": guest.vcpus,
        "maxvcpus": guest.maxvcpus if guest.maxvcpus != guest.vcpus else None,
        "network": [
            {"mac": nic.mac, "bridge": nic.bridge, "model": _text(nic.model), "mtu": nic.mtu} for nic in guest.nics
        ],
        "master": guest.base.master.name,
        "kernel": _text(kernel.kernel) if kernel else None,
        "ramdisk": _text(kernel.ramdisk) if kernel else None,
        "root size": format_size(guest.base.size),
        "swap": _size(guest.swap),
        "disks": {disk.name: format_size(disk.size) for disk in guest.disks},
        "extra": guest.extra or None,
        "on_poweroff": str(guest.on_poweroff),
        "on_reboot": str(guest.on_reboot),
        "on_crash": str(guest.on_crash),
        **{
            name: {key: str(value) for key, value in asdict(options).items()}
            for name, options in guest.options.items()
            if options is not None
        },
        "identity": str(guest.identity),
        "firmware": str(guest.firmware),
        "description": guest.description,
    }


def _size(size: int | None) -> str:
    return "none" if size is None else format_size(size)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
