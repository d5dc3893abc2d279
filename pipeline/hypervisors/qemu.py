"""QEMU: a shell script that runs qemu-system-x86_64(1), for a guest that boots its kernel, or a boot disk."""

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pipeline.guestlist.keys.guest import MAXMEM, ON_CRASH, ON_POWEROFF
from pipeline.guestlist.keys.hypervisor import Refusal
from pipeline.guestlist.schema.table import Fields, Key, Section, Table
from pipeline.hypervisors import pc
from pipeline.hypervisors.base import Disk, Files, Hypervisor, Start
from pipeline.model.architecture import GUESTS
from pipeline.model.guest import Guest
from pipeline.model.network import NicModel
from pipeline.model.sizes import MIB
from pipeline.model.virtualization import Action, Boot, Firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuOptions:
    """What only the script of QEMU has to know of a guest."""

    boot: Boot = Boot.KERNEL


BOOT: Final = Key("qemu.boot", pc.BOOTS, pc.BOOTS_DOC, Boot.KERNEL)

_HEAD = """\
# Runs {name} under QEMU, with its console here: Ctrl-A X ends it at once, Ctrl-A H lists what else there is.
# More options of QEMU's may follow: -snapshot leaves the disks as they are. ACCEL=tcg in the environment does without
# KVM; where there is none, that is so anyway.
"""
_PROGRAM = f"""\
exec {GUESTS.qemu} \\
    -accel "${{ACCEL:-kvm}}" \\
    -accel tcg \\
"""
_FIRMWARE = f"""\
# OVMF, UEFI for QEMU, is where Debian has it, or where OVMF_CODE and OVMF_VARS say. Its settings are not kept.
: "${{OVMF_CODE:={pc.OVMF_CODE}}}" "${{OVMF_VARS:={pc.OVMF_VARIABLES}}}"
set -- -drive "if=pflash,unit=0,format=raw,readonly=on,file=$OVMF_CODE" \\
    -drive "if=pflash,unit=1,format=raw,snapshot=on,file=$OVMF_VARS" "$@"
"""


def options_of(guest: Guest) -> QemuOptions:
    """What only the script of QEMU has to know of `guest`."""
    options: QemuOptions = guest.options["qemu"]
    return options


class Qemu(Hypervisor):
    """QEMU, by a script."""

    name = "qemu"
    suffix = "qemu.sh"
    executable = True
    options = Section("qemu", Table(BOOT), "what is QEMU's alone")
    unsupported_keys = (MAXMEM, ON_POWEROFF, ON_CRASH)

    def configure(self, fields: Fields) -> QemuOptions:
        """The options of a guest. Raises BrokenError."""
        return QemuOptions(boot=fields[BOOT])

    def start(self, guest: Guest) -> Start:
        """The kernel, or a boot disk."""
        return pc.start(options_of(guest).boot)

    def drivers(self, guest: Guest) -> Collection[str]:
        """That of virtio disks."""
        return pc.DRIVERS

    def refusals(self, guest: Guest) -> Iterable[Refusal]:
        """What does not go with a boot disk."""
        return pc.refusals(guest, options_of(guest).boot)

    def render(self, guest: Guest, files: Files) -> str:
        """The script that runs `guest`, one option a line."""
        options = [shlex.join(option) for option in _options(guest, files)]
        lines = ["#!/bin/sh\n"]
        lines += [] if guest.description is None else [f"# {guest.description}\n"]
        lines.append(_HEAD.format(name=guest.name))
        lines += [_FIRMWARE] if guest.firmware is Firmware.UEFI else []
        return "".join([*lines, _PROGRAM, *(f"    {option} \\\n" for option in options), '    "$@"\n'])


def _options(guest: Guest, files: Files) -> Iterator[tuple[str, ...]]:
    yield "-name", guest.name
    yield "-uuid", str(guest.uuid)
    yield "-machine", GUESTS.machine
    yield "-cpu", "max"  # the host's, or all that emulation has
    yield "-m", f"{guest.memory // MIB}M"
    yield "-smp", f"cpus={guest.vcpus},maxcpus={guest.maxvcpus}"
    if pc.start(options_of(guest).boot) is Start.KERNEL:
        yield "-kernel", str(files.kernel)
        if files.ramdisk is not None:
            yield "-initrd", str(files.ramdisk)
        yield "-append", pc.command_line(guest, files)
    for disk in files.disks:
        read_only = "readonly=on," if disk.read_only else ""
        yield "-drive", f"if=none,id=disk{disk.number},format=raw,{read_only}file={_escaped(disk.image)}"
        serial = "" if disk.name is None else f",serial={disk.name}"
        place = pc.FIRST_DISK_SLOT + disk.number
        yield "-device", f"virtio-blk-pci,drive=disk{disk.number},addr={place:#04x}{serial}{_order(guest, disk)}"
    if pc.start(options_of(guest).boot) is Start.BOOT_DISK:
        yield "-drive", f"if=none,id=boot,format=raw,readonly=on,file={_escaped(files.boot)}"
        yield "-device", f"virtio-blk-pci,drive=boot,addr={pc.BOOT_DISK_SLOT:#04x},bootindex=1"
    for number, nic in enumerate(guest.nics):
        yield "-netdev", f"bridge,id=nic{number},br={nic.bridge}"
        card = "virtio-net-pci" if nic.model in {None, NicModel.VIRTIO} else nic.model
        yield "-device", f"{card},netdev=nic{number},mac={nic.mac},addr={pc.FIRST_NIC_SLOT + number:#04x}"
    if guest.on_reboot is Action.DESTROY:
        yield ("-no-reboot",)
    yield ("-nodefaults",)
    yield "-display", "none"
    yield "-serial", "mon:stdio"


def _order(guest: Guest, disk: Disk) -> str:
    """OVMF looks for no disks but those that it may boot from: the boot loader would not find the root disk."""
    return ",bootindex=2" if pc.start(options_of(guest).boot) is Start.BOOT_DISK and disk.number == 0 else ""


def _escaped(path: PurePosixPath) -> str:
    """`path` as a suboption's value, where a comma would end it."""
    return str(path).replace(",", ",,")
