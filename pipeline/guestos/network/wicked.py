"""SuSE's wicked, and the ifup before it: ifcfg(5), ifcfg-vlan(5), ifroute(5) and ifsysctl(5) of wicked."""

import re
from collections.abc import Iterator

from pipeline.guestos import configuration, resolver
from pipeline.guestos.network import interface_names
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_FOLDER = "etc/sysconfig/network"
_PROGRAMS = ("usr/sbin/wicked", "sbin/wicked", "usr/sbin/ifup", "sbin/ifup")
_CHOSEN = "etc/systemd/system/network.service"
_ETHERNETS = re.compile(r"(ifcfg|ifroute|ifrule|ifsysctl)-e.*")
"""Those of the master's own cards: eth0, em1, ens3."""
_DHCP = {(True, True): "dhcp", (True, False): "dhcp4", (False, True): "dhcp6", (False, False): "static"}


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed, and not NetworkManager chosen in its place."""
    chosen = tree.readlink(_CHOSEN) or ""
    installed = tree.exists(f"{_FOLDER}/config") and any(map(tree.exists, _PROGRAMS))
    return installed and not chosen.endswith("NetworkManager.service")


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """An ifcfg file for each card, and for the VLAN on it, with its routes. The master's own go.

    The nameservers are for netconfig(8), which makes resolv.conf.
    """
    files: dict[str, list[str]] = {}
    for card, nic in zip(interface_names.names(guest, tree), guest.nics, strict=True):
        size = [f"MTU='{nic.mtu}'"] if nic.mtu is not None else []
        name = interface_names.interface(card, nic.vlan)
        if nic.vlan is not None:
            files[f"ifcfg-{card}"] = ["STARTMODE='auto'", "BOOTPROTO='static'", *size]
            size = [f"ETHERDEVICE='{card}'", f"VLAN_ID='{nic.vlan}'"]
        files[f"ifcfg-{name}"] = ["STARTMODE='auto'", *size, *_configured(nic)]
        routes = [f"default {gateway} - {name}" for gateway in nic.gateways]
        routes += [f"{route.to} {route.via} - {name}" for route in nic.routes]
        if routes:
            files[f"ifroute-{name}"] = routes
        if nic.accept_ra is not None:
            files[f"ifsysctl-{name}"] = [f"net/ipv6/conf/{name}/accept_ra = {int(nic.accept_ra)}"]
    yield from interface_names.entries(guest, tree)
    yield from configuration.replaced(tree, _FOLDER, _ETHERNETS, files)
    if guest.nics:
        servers, domains = " ".join(resolver.nameservers(guest)), " ".join(resolver.search(guest))
        settings = {"NETCONFIG_DNS_STATIC_SERVERS": servers, "NETCONFIG_DNS_STATIC_SEARCHLIST": domains}
        yield from configuration.changed(tree, f"{_FOLDER}/config", settings)


def _configured(nic: Nic) -> Iterator[str]:
    yield f"BOOTPROTO='{_DHCP[nic.dhcp4, nic.dhcp6]}'"
    for number, address in enumerate(nic.addresses):
        yield f"IPADDR{f'_{number}' if number else ''}='{address}'"


TOOL = NetworkTool(name="wicked", preference=30, is_in=is_in, entries=entries)
