"""Ubuntu's netplan: netplan(5). It makes, at boot, the files of networkd or NetworkManager."""

import json
from collections.abc import Iterator

from pipeline.guestos.network import interface_names, networkmanager
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry, Removal, text
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.network import Nic

_FOLDER = "etc/netplan"
_FILE = "10-guest.yaml"
_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}  # older ones do not know "default"
_BOOLEAN = {True: "true", False: "false"}


def is_in(tree: Tree) -> bool:
    """Whether the master has it installed."""
    return tree.exists("usr/sbin/netplan")


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """One file for all network cards. Those of the master go: netplan would put all together.

    NetworkManager gets the network where it is installed, as on Ubuntu's desktops; else networkd.
    """
    for name in tree.names(_FOLDER):
        if name.endswith(".yaml") and name != _FILE:
            yield Removal(f"{_FOLDER}/{name}")
    if guest.nics:
        renderer = "NetworkManager" if networkmanager.is_in(tree) else "networkd"
        # Since 0.106, it warns of files that others can read: there may be secrets in them.
        yield text(f"{_FOLDER}/{_FILE}", _file(guest, renderer), mode=0o600)


def _file(guest: Guest, renderer: str) -> str:
    lines = ["network:", "  version: 2", f"  renderer: {renderer}", "  ethernets:"]
    vlans: list[str] = []
    for number, nic in enumerate(guest.nics):
        card = f"eth{number}"  # for people: the interface may be called something else
        lines += [f"    {card}:", f"      match: {{macaddress: {_quoted(nic.mac)}}}"]
        lines += [f"      mtu: {nic.mtu}"] if nic.mtu is not None else []
        if nic.vlan is None:
            lines += _configured(nic)
        else:
            vlans += [
                f"    {interface_names.interface(card, nic.vlan)}:",
                f"      id: {nic.vlan}",
                f"      link: {card}",
            ]
            vlans += _configured(nic)
    lines += ["  vlans:", *vlans] if vlans else []
    return "\n".join([*lines, ""])


def _configured(nic: Nic) -> Iterator[str]:
    yield f"      dhcp4: {_BOOLEAN[nic.dhcp4]}"
    yield f"      dhcp6: {_BOOLEAN[nic.dhcp6]}"
    if nic.accept_ra is not None:
        yield f"      accept-ra: {_BOOLEAN[nic.accept_ra]}"
    if nic.addresses:
        yield f"      addresses: {_list(nic.addresses)}"
    if nic.nameservers or nic.search:
        yield "      nameservers:"
        yield f"        addresses: {_list(nic.nameservers)}"
        yield f"        search: {_list(nic.search)}"
    if nic.gateways or nic.routes:
        yield "      routes:"
        for gateway in nic.gateways:
            yield f"        - {{to: {_quoted(_DEFAULT[gateway.version])}, via: {_quoted(gateway)}}}"
        for route in nic.routes:
            yield f"        - {{to: {_quoted(route.to)}, via: {_quoted(route.via)}}}"


def _list(values: tuple[object, ...]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(value: object) -> str:
    """In double quotes, which YAML and JSON have in common."""
    return json.dumps(str(value))


TOOL = NetworkTool(name="netplan", preference=20, is_in=is_in, entries=entries)
