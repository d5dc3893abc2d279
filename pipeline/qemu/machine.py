"""Machines: what QEMU is told of a guest, which has its devices in the places where hypervisors/pc.py puts them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from pipeline.hypervisors import pc
from pipeline.model.architecture import GUESTS
from pipeline.model.guest import Guest
from pipeline.model.network import Nic, NicModel
from pipeline.model.sizes import MIB

PROGRAM = GUESTS.qemu

_LONGEST_PREFIX = 28
"""Of a network in which QEMU has room for its gateway, its name server and its own address by DHCP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel that is booted without a boot loader."""

    image: Path
    initrd: Path | None
    command_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A disk, and the number of its place; see hypervisors/files.py."""

    number: int
    image: Path
    format: str = "raw"
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A network card, and what it is plugged into, as -netdev of qemu(1) wants it."""

    mac: str
    network: str
    model: str = "virtio-net-pci"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is of a guest for QEMU. It runs until it powers off, or wants to start again."""

    memory: int
    """Bytes."""
    vcpus: int
    kernel: Kernel | None
    """None: it boots from its first drive."""
    drives: Sequence[Drive]
    cards: Sequence[Card]
    restarts: bool = False
    """Whether it runs on where it wants to start again."""
    uefi: bool = False
    """Whether it starts by UEFI, rather than by a BIOS."""

    def argv(self, accelerator: str, console: int, report: int) -> list[str | Path]:
        """The command that runs it, with the descriptors of two sockets as its first and second serial port."""
        return list(self._arguments(accelerator, console, report))

    def _arguments(self, accelerator: str, console: int, report: int) -> Iterator[str | Path]:
        yield from (PROGRAM, "-accel", accelerator, "-machine", GUESTS.machine, "-cpu", GUESTS.cpus[accelerator])
        yield from ("-m", f"{self.memory // MIB}M", "-smp", str(self.vcpus))
        yield from ("-nodefaults", "-display", "none", *(() if self.restarts else ("-no-reboot",)))
        if self.uefi:  # whose settings are not kept
            yield from ("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={pc.OVMF_CODE}")
            yield from ("-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={pc.OVMF_VARIABLES}")
        if self.kernel is not None:
            yield from ("-kernel", self.kernel.image, "-append", self.kernel.command_line)
            if self.kernel.initrd is not None:
                yield from ("-initrd", self.kernel.initrd)
        for drive in self.drives:
            file = str(drive.image).replace(",", ",,")  # which would end the suboption
            read_only = "readonly=on," if drive.read_only else ""
            yield from ("-drive", f"if=none,id=disk{drive.number},format={drive.format},{read_only}file={file}")
            place = pc.FIRST_DISK_SLOT + drive.number
            yield from ("-device", f"virtio-blk-pci,drive=disk{drive.number},addr={place:#04x}")
        for number, card in enumerate(self.cards):
            place = pc.FIRST_NIC_SLOT + number
            yield from ("-netdev", f"{card.network},id=nic{number}")
            yield from ("-device", f"{card.model},netdev=nic{number},mac={card.mac},addr={place:#04x}")
        for name, descriptor in (("console", console), ("report", report)):
            yield from ("-chardev", f"socket,id={name},fd={descriptor}", "-serial", f"chardev:{name}")


def cards(guest: Guest) -> list[Card]:
    """The guest's network cards, each on a network of its own that has nobody else but QEMU in it."""
    return [
        Card(mac=nic.mac, network=_network(nic, number), model=_MODELS.get(nic.model, str(nic.model)))
        for number, nic in enumerate(guest.nics)
    ]


_MODELS = {None: "virtio-net-pci", NicModel.VIRTIO: "virtio-net-pci"}


def _network(nic: Nic, number: int) -> str:
    """QEMU's own network, where it is the gateway or gives addresses by DHCP; else a hub with nothing else in it."""
    if nic.dhcp4 and nic.vlan is None:
        return "user,restrict=on"
    own = [address for address in nic.addresses if isinstance(address, IPv4Interface)]
    for gateway in nic.gateways:
        for address in own:
            if isinstance(gateway, IPv4Address) and gateway in address.network and nic.vlan is None:
                if address.network.prefixlen > _LONGEST_PREFIX:
                    break
                # QEMU's name server answers, too: not where the guest's own address is.
                taken = {gateway, *(each.ip for each in own)}
                server = next(host for host in address.network.hosts() if host not in taken)
                return f"user,restrict=on,ipv6=off,net={address.network},host={gateway},dns={server}"
    return f"hubport,hubid={number}"
