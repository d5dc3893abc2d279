"""systemd-networkd: systemd.network(5), systemd.netdev(5)."""

from collections.abc import Iterator

from pipeline.guestos.network import interface_names
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry, Metadata, Symlink, text
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_PROGRAMS = ("usr/lib/systemd/systemd-networkd", "lib/systemd/systemd-networkd")
_FOLDER = "etc/systemd/network"
_ENABLED = {  # what `systemctl enable systemd-networkd` links, as its unit's [Install] section says
    "dbus-org.freedesktop.network1.service": "systemd-networkd.service",
    "multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
    "network-online.target.wants/systemd-networkd-wait-online.service": "systemd-networkd-wait-online.service",
    "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    "sysinit.target.wants/systemd-network-generator.service": "systemd-network-generator.service",
}
_YES = {True: "yes", False: "no"}
_DHCP = {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6"}


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed."""
    return any(map(tree.exists, _PROGRAMS))


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:  # as all network tools
    """A .network file for each of the guest's MAC addresses, and the links that enable networkd: not without any."""
    for number, nic in enumerate(guest.nics):
        card = f"eth{number}"  # for people: the interface may be called something else
        if nic.vlan is None:
            yield text(f"{_FOLDER}/10-{card}.network", _network(nic, [f"MACAddress={nic.mac}"], _configured(nic)))
            continue
        name = interface_names.interface(card, nic.vlan)
        yield text(f"{_FOLDER}/10-{name}.netdev", f"[NetDev]\nName={name}\nKind=vlan\n\n[VLAN]\nId={nic.vlan}\n")
        yield text(f"{_FOLDER}/10-{name}.network", _network(nic, [f"Name={name}"], _configured(nic)))
        # A VLAN interface has the MAC address of its card.
        only_card = [f"MACAddress={nic.mac}", "Type=ether"]
        bare = [f"VLAN={name}", "LinkLocalAddressing=no", "IPv6AcceptRA=no"]
        yield text(f"{_FOLDER}/10-{card}.network", _network(nic, only_card, bare))
    for link, unit in _ENABLED.items() if guest.nics else ():
        yield Symlink(f"etc/systemd/system/{link}", Metadata(mode=0o777), f"/lib/systemd/system/{unit}")


def _network(nic: Nic, match: list[str], settings: list[str]) -> str:
    lines = ["[Match]", *match, ""]
    lines += ["[Link]", f"MTUBytes={nic.mtu}", ""] if nic.mtu is not None else []
    return "\n".join([*lines, "[Network]", *settings, ""])


def _configured(nic: Nic) -> list[str]:
    """The section [Network], and those that may follow it."""
    settings = [f"DHCP={_DHCP[nic.dhcp4, nic.dhcp6]}"] if nic.dhcp4 or nic.dhcp6 else []
    settings += [f"IPv6AcceptRA={_YES[nic.accept_ra]}"] if nic.accept_ra is not None else []
    settings += [f"Address={address}" for address in nic.addresses]
    settings += [f"Gateway={gateway}" for gateway in nic.gateways]
    settings += [f"DNS={server}" for server in nic.nameservers]
    settings += [f"Domains={' '.join(nic.search)}"] if nic.search else []
    if nic.dhcp6 and nic.accept_ra is False:  # it is advertisements that say to ask, else
        settings += ["", "[DHCPv6]", "WithoutRA=solicit"]
    for route in nic.routes:
        settings += ["", "[Route]", f"Destination={route.to}", f"Gateway={route.via}"]
    return settings


TOOL = NetworkTool(name="networkd", preference=60, is_in=is_in, entries=entries)
