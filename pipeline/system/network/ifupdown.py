"""Debian's ifupdown: interfaces(5). BusyBox reads the same file."""

from collections.abc import Iterator

from pipeline.farm.model import Guest, Nic
from pipeline.image.layer import Entry, text
from pipeline.image.tree import Tree

_PROGRAMS = ("usr/sbin/ifup", "sbin/ifup")


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed. Red Hat and SuSE have another ifup, which reads etc/sysconfig."""
    return any(map(tree.exists, _PROGRAMS)) and not tree.exists("etc/sysconfig/network")


def entries(guest: Guest) -> Iterator[Entry]:
    """/etc/network/interfaces, and what makes udev call the interface with the guest's MAC address eth0."""
    stanzas = ["auto lo\niface lo inet loopback\n"]
    for number, nic in enumerate(guest.nics):
        stanzas.append(_stanza(f"eth{number}", nic))
        # systemd.link(5); it is udev that reads it, with or without systemd-networkd.
        link = f"[Match]\nMACAddress={nic.mac}\n\n[Link]\nName=eth{number}\n"
        yield text(f"etc/systemd/network/10-eth{number}.link", link)
    yield text("etc/network/interfaces", "\n".join(stanzas))


def _stanza(name: str, nic: Nic) -> str:
    lines = [f"auto {name}"]
    if nic.dhcp4:
        lines.append(f"iface {name} inet dhcp")
    for address in nic.addresses:
        # Debian's takes 10.0.0.11/24 as an address; BusyBox wants the netmask by itself, and for IPv6 the prefix's
        # length.
        family, netmask = ("inet", address.netmask) if address.version == 4 else ("inet6", address.network.prefixlen)
        lines += [f"iface {name} {family} static", f"    address {address.ip}", f"    netmask {netmask}"]
        if address == next(each for each in nic.addresses if each.version == address.version):
            lines += [f"    gateway {gateway}" for gateway in nic.gateways if gateway.version == address.version]
    return "\n".join([*lines, ""])
