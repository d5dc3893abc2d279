"""Xen: xl.cfg(5) for a PV guest that boots its kernel directly."""

from pathlib import PurePosixPath

from pipeline.farm.model import Guest
from pipeline.farm.units import MIB
from pipeline.hypervisor.files import Files

suffix = "cfg"
executable = False

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def render(guest: Guest, files: Files) -> str:
    """The configuration of `guest`."""
    disks = [_disk(f"xvda{number}", image) for number, image in enumerate(files.disks, start=1)]
    vifs = [_quoted(f"mac={nic.mac},bridge={nic.bridge}") for nic in guest.nics]
    settings = [
        f"name = {_quoted(guest.name)}",
        f'uuid = "{guest.uuid}"',
        'type = "pv"',
        f"memory = {guest.memory // MIB}",
        f"vcpus = {guest.vcpus}",
        f"kernel = {_quoted(str(files.kernel))}",
        *([f"ramdisk = {_quoted(str(files.ramdisk))}"] if files.ramdisk is not None else []),
        'root = "/dev/xvda1 ro"',
        _list("vif", vifs),
        _list("disk", disks),
    ]
    return "\n".join([*settings, ""])


def _disk(device: str, image: PurePosixPath) -> str:
    # As xl-disk-configuration(5) has it: `target` comes last, and then takes commas as they are.
    return _quoted(f"format=raw, vdev={device}, access=rw, target={image}")


def _list(name: str, values: list[str]) -> str:
    return "\n".join([f"{name} = [", *(f"    {value}," for value in values), "]"])


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
