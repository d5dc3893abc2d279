"""The PC that a guest is under libvirt and under QEMU: started alike, with devices in the same places."""

from collections.abc import Iterable

from pipeline.guestlist.keys.hypervisor import Refusal
from pipeline.guestlist.schema.readers import Choice
from pipeline.hypervisors.base import Files, Start
from pipeline.hypervisors.base import refusals as refusals_of_boot_disks
from pipeline.model.architecture import GUESTS
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Boot

# Places on the first PCI bus, so that no device moves when another comes or goes. q35 itself takes 0 and 31.
BALLOON_SLOT = 3
FIRST_DISK_SLOT = 4  # root, swap, and the others, MAX_DISKS of guestlist/keys/disk.py
FIRST_NIC_SLOT = 16  # MAX_NICS of guestlist/keys/nic.py follow; the seed comes next, by its number among disks
BOOT_DISK_SLOT = 28  # after all others, so that Linux calls the root disk vda as ever

OVMF_CODE, OVMF_VARIABLES = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
"""UEFI for QEMU, and its settings as they are at first, where Debian has them."""


BOOTS = Choice((Boot.KERNEL, Boot.DISK))
BOOTS_DOC = "what it boots: the kernel beside its disk, or that in it, by a boot loader"
"""The values of `boot`, and what they are."""

DRIVERS = ("virtio_blk",)
"""The kernel modules of which a guest needs one to find its disks."""


def start(boot: Boot) -> Start:
    """The kernel, or a boot disk."""
    return Start.BOOT_DISK if boot is Boot.DISK else Start.KERNEL


def refusals(guest: Guest, boot: Boot) -> Iterable[Refusal]:
    """What does not go with a boot disk."""
    return refusals_of_boot_disks(guest) if start(boot) is Start.BOOT_DISK else ()


def command_line(guest: Guest, files: Files) -> str:
    """What the guest's kernel is told: where its root file system is, and to talk on the first serial port."""
    # It is the initrd that knows UUIDs. A kernel without one knows devices, of which the first virtio disk is this.
    root = f"UUID={guest.root_uuid}" if files.ramdisk is not None else "/dev/vda"
    return f"root={root} ro console={GUESTS.console} {guest.extra}".rstrip()
