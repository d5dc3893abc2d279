"""Xen: xl.cfg(5), for a PV or PVH guest that boots its kernel directly or by pygrub, or HVM with a boot disk."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import ClassVar, Final

from pipeline.guestlist.keys.hypervisor import FIRMWARE, Refusal
from pipeline.guestlist.keys.nic import NETWORK
from pipeline.guestlist.schema.readers import Choice
from pipeline.guestlist.schema.table import Fields, Key, Section, Table
from pipeline.hypervisors import xl
from pipeline.hypervisors.base import SEED, Disk, Files, Hypervisor, KernelNeed, Start, own_kernel_refusals
from pipeline.hypervisors.base import refusals as refusals_of_boot_disks
from pipeline.hypervisors.toolstack import Toolstack
from pipeline.model.guest import Guest
from pipeline.model.network import Nic, NicModel
from pipeline.model.sizes import MIB
from pipeline.model.virtualization import Boot, Firmware


class XenType(StrEnum):
    """How Xen virtualizes a guest; see xl.cfg(5)."""

    PV = "pv"
    PVH = "pvh"
    HVM = "hvm"


class XenDevices(StrEnum):
    """What the first disk is called: sda1 by kernels with Xen's own patches, such as 2.6.18."""

    XVDA1 = "xvda1"
    SDA1 = "sda1"


@dataclass(frozen=True, slots=True, kw_only=True)
class XenOptions:
    """What only Xen has to know of a guest."""

    type: XenType = XenType.PV
    device_names: XenDevices = XenDevices.XVDA1
    boot: Boot = Boot.KERNEL
    """HVM guests boot from their disks, whatever this says."""


TYPE: Final = Key("xen.type", Choice(tuple(XenType)), "how Xen virtualizes it", XenType.PV)
DEVICES: Final = Key(
    "xen.device_names", Choice(tuple(XenDevices)), "its first disk's name; sda1 for old kernels", XenDevices.XVDA1
)
BOOT: Final = Key(
    "xen.boot",
    Choice((Boot.KERNEL, Boot.PYGRUB)),
    "what it boots, unless its type is hvm: the kernel beside its disk, or the one that pygrub finds in it",
    Boot.KERNEL,
)

_WHOLE = 2
"""The number of the first disk that is a whole one to the guest, so that it can be partitioned."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def options_of(guest: Guest) -> XenOptions:
    """What only Xen has to know of `guest`."""
    options: XenOptions = guest.options["xen"]
    return options


class Xen(Hypervisor):
    """Xen, by xl."""

    name = "xen"
    suffix = "cfg"
    options = Section("xen", Table(TYPE, DEVICES, BOOT), "what is Xen's alone", short=TYPE)
    toolstack: ClassVar[Toolstack | None] = xl

    def configure(self, fields: Fields) -> XenOptions:
        """The options of a guest. Raises BrokenError."""
        return XenOptions(type=fields[TYPE], device_names=fields[DEVICES], boot=fields[BOOT])

    def start(self, guest: Guest) -> Start:
        """A boot disk for HVM, else pygrub, or the kernel."""
        if options_of(guest).type is XenType.HVM:
            return Start.BOOT_DISK
        return Start.ROOT_DISK if options_of(guest).boot is Boot.PYGRUB else Start.KERNEL

    def drivers(self, guest: Guest) -> Collection[str]:
        """Xen's own; or those of the controller that HVM imitates, of which Linux has had two."""
        return ("xen-blkfront", *(("ata_piix", "ide_core") if options_of(guest).type is XenType.HVM else ()))

    def refusals(self, guest: Guest) -> Iterator[Refusal]:
        """What does not go with the guest's type."""
        if options_of(guest).type is XenType.HVM:
            yield from refusals_of_boot_disks(guest)
            if options_of(guest).boot is Boot.PYGRUB:
                yield Refusal(BOOT, "boots HVM guests from their disks", "remove it, or choose pv or pvh")
            if options_of(guest).device_names is XenDevices.SDA1:
                yield Refusal(DEVICES, "has xvda1 and sda1 for PV and PVH guests only", "remove it")
            return
        kind = options_of(guest).type.upper()
        for number, nic in enumerate(guest.nics):
            if nic.model is not None:
                hint = "remove it, or say 'model: none' for guests of Xen"
                yield Refusal(NETWORK, f"has no card to imitate for a {kind} guest", hint, number)
        if options_of(guest).boot is Boot.PYGRUB:
            yield from own_kernel_refusals(guest)
        if guest.firmware is not Firmware.BIOS:
            hint = "say 'firmware: bios', or 'xen: hvm'"
            yield Refusal(FIRMWARE, f"gives a {kind} guest no firmware", hint)

    def render(self, guest: Guest, files: Files) -> str:
        """The configuration of `guest`."""
        settings = [
            *([] if guest.description is None else [f"# {guest.description}"]),
            f"name = {_quoted(guest.name)}",
            f'uuid = "{guest.uuid}"',
            f'type = "{options_of(guest).type}"',
            f"memory = {guest.memory // MIB}",
            *([f"maxmem = {guest.maxmem // MIB}"] if guest.maxmem > guest.memory else []),
            f"vcpus = {guest.vcpus}",
            *([f"maxvcpus = {guest.maxvcpus}"] if guest.maxvcpus > guest.vcpus else []),
            *_boot(guest, files),
            f'on_poweroff = "{guest.on_poweroff}"',
            f'on_reboot = "{guest.on_reboot}"',
            f'on_crash = "{guest.on_crash}"',
            _list("vif", [_vif(nic, options_of(guest).type) for nic in guest.nics]),
            _list("disk", [_disk(*each) for each in _disks(guest, files)]),
        ]
        return "\n".join([*settings, ""])

    def kernel_need(self, guest: Guest) -> KernelNeed | None:
        """That of PV and PVH guests; HVM guests boot the kernel as a PC does."""
        return _KERNEL_NEEDS.get(options_of(guest).type)


def _boot(guest: Guest, files: Files) -> list[str]:
    if options_of(guest).type is XenType.HVM:
        firmware = "ovmf" if guest.firmware is Firmware.UEFI else "seabios"
        # `serial` is what xl console shows. There is a screen as well, by VNC on the host alone, as xl.cfg(5) has it.
        return [f'bios = "{firmware}"', 'boot = "c"', 'serial = "pty"', 'vga = "stdvga"', "vnc = 1"]
    if options_of(guest).boot is Boot.PYGRUB:
        kernel = ['bootloader = "pygrub"']
    else:
        ramdisk = [f"ramdisk = {_quoted(str(files.ramdisk))}"] if files.ramdisk is not None else []
        kernel = [f"kernel = {_quoted(str(files.kernel))}", *ramdisk]
        kernel.append(f'root = "/dev/{options_of(guest).device_names} ro"')
    # PV kernels talk there anyway; PVH ones have to be told.
    return [*kernel, f"extra = {_quoted(f'console=hvc0 {guest.extra}'.rstrip())}"]


def _disks(guest: Guest, files: Files) -> Iterator[tuple[str, PurePosixPath, bool]]:
    """What each disk is called, its image, and whether it is only read."""
    if options_of(guest).type is XenType.HVM:
        # All are whole disks. The BIOS sees the first four, and boots from the first of them.
        yield "xvda", files.boot, False
        yield from ((_whole_device(disk), disk.image, disk.read_only) for disk in files.disks)
    else:
        first = options_of(guest).device_names.removesuffix("1")
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


def runs_as_pv(config: str) -> bool:
    """Whether a kernel with this configuration can be a Xen PV guest.

    That is CONFIG_XEN_PV since Linux 4.12, which split it from CONFIG_XEN, and brought CONFIG_XEN_PVHVM_SMP along; see
    arch/x86/xen/Kconfig. Kernels for 32 bits have no CONFIG_XEN_PV since 5.9.
    """
    options = dict(re.findall(r"^(?:# )?(CONFIG_XEN(?:_PV|_PVHVM_SMP)?)(?:=| is not set)(\S*)$", config, re.MULTILINE))
    split = options.keys() - {"CONFIG_XEN"}
    return options.get("CONFIG_XEN_PV" if split else "CONFIG_XEN") == "y"


def runs_as_pvh(config: str) -> bool:
    """Whether a kernel with this configuration can be a Xen PVH guest: it has CONFIG_XEN_PVH, since Linux 4.11.

    CONFIG_PVH alone is for other hypervisors; see xen_pvh_init() in arch/x86/platform/pvh/enlighten.c.
    """
    return re.search("^CONFIG_XEN_PVH=y$", config, re.MULTILINE) is not None


_KERNEL_NEEDS = {
    XenType.PV: KernelNeed("Xen PV guest", "xen", "pv", "CONFIG_XEN_PV", runs_as_pv),
    XenType.PVH: KernelNeed("Xen PVH guest", "xen", "pvh", "CONFIG_XEN_PVH", runs_as_pvh),
}
