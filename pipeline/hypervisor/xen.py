"""Xen: xl.cfg(5), for a PV or PVH guest that boots its kernel directly."""

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

from pipeline.farm.model import Guest
from pipeline.farm.table import Key
from pipeline.farm.units import MIB
from pipeline.hypervisor.files import Files

suffix = "cfg"
executable = False
inexpressible: Collection[Key[Any]] = ()

_WHOLE = 2
"""The number of the first disk that is a whole one to the guest, so that it can be partitioned."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def render(guest: Guest, files: Files) -> str:
    """The configuration of `guest`."""
    device = guest.xen.device_names.removesuffix("1")
    disks = [_disk(_device(device, disk.number), disk.image) for disk in files.disks]
    vifs = [_quoted(f"mac={nic.mac},bridge={nic.bridge}") for nic in guest.nics]
    settings = [
        f"name = {_quoted(guest.name)}",
        f'uuid = "{guest.uuid}"',
        f'type = "{guest.xen.type}"',
        f"memory = {guest.memory // MIB}",
        *([f"maxmem = {guest.maxmem // MIB}"] if guest.maxmem > guest.memory else []),
        f"vcpus = {guest.vcpus}",
        *([f"maxvcpus = {guest.maxvcpus}"] if guest.maxvcpus > guest.vcpus else []),
        f"kernel = {_quoted(str(files.kernel))}",
        *([f"ramdisk = {_quoted(str(files.ramdisk))}"] if files.ramdisk is not None else []),
        f'root = "/dev/{device}1 ro"',
        # PV kernels talk there anyway; PVH ones have to be told.
        f"extra = {_quoted(f'console=hvc0 {guest.extra}'.rstrip())}",
        f'on_poweroff = "{guest.on_poweroff}"',
        f'on_reboot = "{guest.on_reboot}"',
        f'on_crash = "{guest.on_crash}"',
        _list("vif", vifs),
        _list("disk", disks),
    ]
    return "\n".join([*settings, ""])


def _device(first: str, number: int) -> str:
    """Root and swap are partitions without a disk: xvda1, xvda2. The others are whole disks: xvdb, xvdc and so on."""
    return f"{first}{number + 1}" if number < _WHOLE else f"{first[:-1]}{'bcdefghijk'[number - _WHOLE]}"


def _disk(device: str, image: PurePosixPath) -> str:
    # As xl-disk-configuration(5) has it: `target` comes last, and then takes commas as they are.
    return _quoted(f"format=raw, vdev={device}, access=rw, target={image}")


def _list(name: str, values: list[str]) -> str:
    return "\n".join([f"{name} = [", *(f"    {value}," for value in values), "]"])


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
