"""systemd-networkd: systemd.network(5)."""

from collections.abc import Iterator

from pipeline.farm.model import Guest, Nic
from pipeline.image.layer import Entry, Metadata, Symlink, text
from pipeline.image.tree import Tree

_PROGRAMS = ("usr/lib/systemd/systemd-networkd", "lib/systemd/systemd-networkd")
_ENABLED = {  # what `systemctl enable systemd-networkd` links, as its unit's [Install] section says
    "dbus-org.freedesktop.network1.service": "systemd-networkd.service",
    "multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
    "network-online.target.wants/systemd-networkd-wait-online.service": "systemd-networkd-wait-online.service",
    "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    "sysinit.target.wants/systemd-network-generator.service": "systemd-network-generator.service",
}


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed."""
    return any(map(tree.exists, _PROGRAMS))


def entries(guest: Guest) -> Iterator[Entry]:
    """A .network file for each of the guest's MAC addresses, and the links that enable networkd: not without any."""
    for number, nic in enumerate(guest.nics):
        yield text(f"etc/systemd/network/10-eth{number}.network", _network(nic))
    for link, unit in _ENABLED.items() if guest.nics else ():
        yield Symlink(f"etc/systemd/system/{link}", Metadata(mode=0o777), f"/lib/systemd/system/{unit}")


def _network(nic: Nic) -> str:
    settings = ["DHCP=yes"] if nic.dhcp4 else []
    settings += [f"Address={address}" for address in nic.addresses]
    settings += [f"Gateway={gateway}" for gateway in nic.gateways]
    settings += [f"DNS={server}" for server in nic.nameservers]
    return "\n".join(["[Match]", f"MACAddress={nic.mac}", "", "[Network]", *settings, ""])
