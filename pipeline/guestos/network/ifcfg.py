"""Red Hat's network scripts, up to RHEL 8, and their ifcfg files, which NetworkManager reads there, too.

They are described by sysconfig.txt of initscripts, and nm-settings-ifcfg-rh(5).
"""

import re
from collections.abc import Iterator

from pipeline.guestos import configuration
from pipeline.guestos.network import interface_names, networkmanager
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_FOLDER = "etc/sysconfig/network-scripts"
_PLUGIN = "libnm-settings-plugin-ifcfg-rh.so"
_LIBRARIES = ("usr/lib64/NetworkManager", "usr/lib/NetworkManager")
_ETHERNETS = re.compile(r"(ifcfg|route|route6|rule|rule6)-e.*")
"""Those of the master's own cards: eth0, em1, ens3."""
_YES = {True: "yes", False: "no"}


def is_in(tree: Tree) -> bool:
    """Whether the master has the scripts, and no NetworkManager that does not read their files."""
    if not tree.exists(f"{_FOLDER}/ifup-eth"):
        return False
    # Newer ones keep their plugins in folders by version: usr/lib64/NetworkManager/1.18.8-2.el7_9.
    plugins = (f"{library}/{version}/{_PLUGIN}" for library in _LIBRARIES for version in (".", *tree.names(library)))
    return not networkmanager.is_in(tree) or any(map(tree.exists, plugins))


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """An ifcfg file for each card, and for the VLAN on it, with the routes beside it. The master's own go."""
    files: dict[str, list[str]] = {}
    for card, nic in zip(interface_names.names(guest, tree), guest.nics, strict=True):
        own = [f"HWADDR={nic.mac.upper()}", "TYPE=Ethernet"]
        own += [f"MTU={nic.mtu}"] if nic.mtu is not None else []
        name = interface_names.interface(card, nic.vlan)
        if nic.vlan is not None:
            files[f"ifcfg-{card}"] = [f"DEVICE={card}", *own, "ONBOOT=yes", "BOOTPROTO=none"]
            own = ["VLAN=yes", f"PHYSDEV={card}"]
        files[f"ifcfg-{name}"] = [f"DEVICE={name}", *own, "ONBOOT=yes", *_configured(nic)]
        for version, kind in ((4, "route"), (6, "route6")):
            routes = [f"{each.to} via {each.via} dev {name}" for each in nic.routes if each.via.version == version]
            if routes:
                files[f"{kind}-{name}"] = routes
    yield from interface_names.entries(guest, tree)
    yield from configuration.replaced(tree, _FOLDER, _ETHERNETS, files)


def _configured(nic: Nic) -> Iterator[str]:
    yield f"BOOTPROTO={'dhcp' if nic.dhcp4 else 'none'}"
    for number, address in enumerate(each for each in nic.addresses if each.version == 4):
        suffix = number or ""  # IPADDR, IPADDR1, IPADDR2
        yield f"IPADDR{suffix}={address.ip}"
        yield f"PREFIX{suffix}={address.network.prefixlen}"
    yield from (f"GATEWAY={gateway}" for gateway in nic.gateways if gateway.version == 4)
    six = [str(address) for address in nic.addresses if address.version == 6]
    if six or nic.dhcp6 or nic.accept_ra is not None:
        yield "IPV6INIT=yes"
    if nic.accept_ra is not None:
        yield f"IPV6_AUTOCONF={_YES[nic.accept_ra]}"
    if nic.dhcp6:
        yield "DHCPV6C=yes"
    if six:
        yield f"IPV6ADDR={six[0]}"
    if six[1:]:
        yield f"IPV6ADDR_SECONDARIES={configuration.quoted(' '.join(six[1:]))}"
    yield from (f"IPV6_DEFAULTGW={gateway}" for gateway in nic.gateways if gateway.version == 6)
    for number, server in enumerate(nic.nameservers, 1):
        yield f"DNS{number}={server}"
    if nic.search:
        yield f"DOMAIN={configuration.quoted(' '.join(nic.search))}"


TOOL = NetworkTool(name="ifcfg", preference=40, is_in=is_in, entries=entries)
