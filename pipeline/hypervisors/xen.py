"""Xen: xl.cfg(5), for a PV or PVH guest that boots its kernel directly or by pygrub, or HVM with a boot disk."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from pipeline.guestlist.keys.guest import Refusal
from pipeline.guestlist.keys.hypervisor import FIRMWARE, XEN_BOOT, XEN_DEVICES
from pipeline.guestlist.schema.table import Key
from pipeline.hypervisors.files import SEED, Disk, Files
from pipeline.hypervisors.start import Start, own_kernel_refusals
from pipeline.hypervisors.start import refusals as refusals_of_boot_disks
from pipeline.model.guest import Guest
from pipeline.model.network import Nic, NicModel
from pipeline.model.sizes import MIB
from pipeline.model.virtualization import Boot, Firmware, XenDevices, XenType

suffix = "cfg"
executable = False
inexpressible: Collection[Key[Any]] = ()

_WHOLE = 2
"""The number of the first disk that is a whole one to the guest, so that it can be partitioned."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def start(guest: Guest) -> Start:
    """A boot disk for HVM, else pygrub, or the kernel."""
    if guest.xen.type is XenType.HVM:
        return Start.BOOT_DISK
    return Start.ROOT_DISK if guest.xen.boot is Boot.PYGRUB else Start.KERNEL


def drivers(guest: Guest) -> Collection[str]:
    """Xen's own; or those of the controller that HVM imitates, of which Linux has had two."""
    return ("xen-blkfront", *(("ata_piix", "ide_core") if guest.xen.type is XenType.HVM else ()))


def refusals(guest: Guest) -> Iterator[Refusal]:
    """What does not go with the guest's type."""
    if guest.xen.type is XenType.HVM:
        yield from refusals_of_boot_disks(guest)
        if guest.xen.boot is Boot.PYGRUB:
            yield Refusal(XEN_BOOT, "boots HVM guests from their disks", "remove it, or choose pv or pvh")
        if guest.xen.device_names is XenDevices.SDA1:
            yield Refusal(XEN_DEVICES, "has xvda1 and sda1 for PV and PVH guests only", "remove it")
        return
    if guest.xen.boot is Boot.PYGRUB:
        yield from own_kernel_refusals(guest)
    if guest.firmware is not Firmware.BIOS:
        hint = "say 'firmware: bios', or 'xen: hvm'"
        yield Refusal(FIRMWARE, f"gives a {guest.xen.type.upper()} guest no firmware", hint)


def descriptors(guest: Guest, files: Files) -> Mapping[str, str]:
    """None."""
    return {}


def render(guest: Guest, files: Files) -> str:
    """The configuration of `guest`."""
    settings = [
        *([] if guest.description is None else [f"# {guest.description}"]),
        f"name = {_quoted(guest.name)}",
        f'uuid = "{guest.uuid}"',
        f'type = "{guest.xen.type}"',
        f"memory = {guest.memory // MIB}",
        *([f"maxmem = {guest.maxmem // MIB}"] if guest.maxmem > guest.memory else []),
        f"vcpus = {guest.vcpus}",
        *([f"maxvcpus = {guest.maxvcpus}"] if guest.maxvcpus > guest.vcpus else []),
        *_boot(guest, files),
        f'on_poweroff = "{guest.on_poweroff}"',
        f'on_reboot = "{guest.on_reboot}"',
        f'on_crash = "{guest.on_crash}"',
        _list("vif", [_vif(nic, guest.xen.type) for nic in guest.nics]),
        _list("disk", [_disk(*each) for each in _disks(guest, files)]),
    ]
    return "\n".join([*settings, ""])


def _boot(guest: Guest, files: Files) -> list[str]:
    if guest.xen.type is XenType.HVM:
        firmware = "ovmf" if guest.firmware is Firmware.UEFI else "seabios"
        # `serial` is what xl console shows. There is a screen as well, by VNC on the host alone, as xl.cfg(5) has it.
        return [f'bios = "{firmware}"', 'boot = "c"', 'serial = "pty"', 'vga = "stdvga"', "vnc = 1"]
    if guest.xen.boot is Boot.PYGRUB:
        kernel = ['bootloader = "pygrub"']
    else:
        ramdisk = [f"ramdisk = {_quoted(str(files.ramdisk))}"] if files.ramdisk is not None else []
        kernel = [f"kernel = {_quoted(str(files.kernel))}", *ramdisk]
        kernel.append(f'root = "/dev/{guest.xen.device_names} ro"')
    # PV kernels talk there anyway; PVH ones have to be told.
    return [*kernel, f"extra = {_quoted(f'console=hvc0 {guest.extra}'.rstrip())}"]


def _disks(guest: Guest, files: Files) -> Iterator[tuple[str, PurePosixPath, bool]]:
    """What each disk is called, its image, and whether it is only read."""
    if guest.xen.type is XenType.HVM:
        # All are whole disks. The BIOS sees the first four, and boots from the first of them.
        yield "xvda", files.boot, False
        yield from ((_whole_device(disk), disk.image, disk.read_only) for disk in files.disks)
    else:
        first = guest.xen.device_names.removesuffix("1")
        yield from ((_device(first, disk), disk.image, disk.read_only) for disk in files.disks)


def _vif(nic: Nic, kind: XenType) -> str:
    if kind is not XenType.HVM or nic.model is None:
        return _quoted(f"mac={nic.mac},bridge={nic.bridge}")
    model = "virtio-net-pci" if nic.model is NicModel.VIRTIO else nic.model  # whatever QEMU has
    return _quoted(f"mac={nic.mac},bridge={nic.bridge},model={model}")


def _device(first: str, disk: Disk) -> str:
    """Root and swap are partitions without a disk: xvda1, xvda2. The others are whole disks: xvdb, xvdc and so on."""
    if disk.number == SEED:
        return f"{first[:-1]}l"
    return f"{first}{disk.number + 1}" if disk.number < _WHOLE else f"{first[:-1]}{'bcdefghijk'[disk.number - _WHOLE]}"


def _whole_device(disk: Disk) -> str:
    return "xvdn" if disk.number == SEED else f"xvd{'bcdefghijklm'[disk.number]}"


def _disk(device: str, image: PurePosixPath, read_only: bool) -> str:
    # As xl-disk-configuration(5) has it: `target` comes last, and then takes commas as they are.
    return _quoted(f"format=raw, vdev={device}, access={'ro' if read_only else 'rw'}, target={image}")


def _list(name: str, values: list[str]) -> str:
    return "\n".join([f"{name} = [", *(f"    {value}," for value in values), "]"])


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
